#include "ops/loss_scale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/near.h"

namespace fusor::ops {
namespace {

struct Scale {
  Tensor state{{kLossScaleState}, DType::f64}, norm{{1}, DType::f64};

  explicit Scale(double first) { set(state, 0, first), set(state, 1, 0); }
  double after(double n) {
    set(norm, 0, n);
    adapt_loss_scale(norm, state, /*patience=*/3);
    return at(state, 0);
  }
};

TEST(LossScale, IsHalvedByEachOverflow) {
  Scale scale(1024);
  EXPECT_EQ(scale.after(NAN), 512);
  EXPECT_EQ(scale.after(NAN), 256);
  EXPECT_EQ(scale.after(7), 256);
}

TEST(LossScale, IsDoubledAfterEnoughUpdatesInARow) {
  Scale scale(1);
  EXPECT_EQ(scale.after(1), 1);
  EXPECT_EQ(scale.after(1), 1);
  EXPECT_EQ(scale.after(1), 2);
  EXPECT_EQ(scale.after(0), 2);
  EXPECT_EQ(scale.after(1), 2);
  EXPECT_EQ(scale.after(NAN), 1) << "and the count begins anew";
  EXPECT_EQ(scale.after(1), 1);
  EXPECT_EQ(scale.after(1), 1);
  EXPECT_EQ(scale.after(1), 2);
}

}  // namespace
}  // namespace fusor::ops
