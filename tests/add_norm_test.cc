#include "ops/add_norm.h"

#include <gmock/gmock.h>

#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "tests/near.h"

namespace fusor {
namespace {

struct Operands {
  Var residual, x, gain, bias;
  StepKey key{{5}, step_number(2)};
  RowMap rows = RowMap::zigzag(1, 600, 1, 3).rows_from(7);

  explicit Operands(DType dtype)
      : residual(of({300, 101}, dtype, 0)),
        x(of({300, 101}, dtype, 1)),
        gain(of({101}, dtype, 2)),
        bias(of({101}, dtype, 3)) {}
  static Var of(const Shape& shape, DType dtype, std::uint64_t seed) {
    return Var::input(noise(shape, dtype, seed));
  }
};

void expect_same(const AddNorm& got, const Var& sum, const Var& y) {
  EXPECT_EQ(doubles(got.sum.value()), doubles(sum.value()));
  EXPECT_EQ(doubles(got.y.value()), doubles(y.value()));
}

TEST(AddNorm, GivesTheBitsOfASumAndANorm) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16})
    for (const double p : {0.0, 0.3}) {
      const Operands v(dtype);
      const Var sum = dropout_add(v.residual, v.x, p, v.key, v.rows);
      expect_same(add_layer_norm(v.residual, v.x, p, v.key, v.rows, v.gain, v.bias, 1e-5), sum,
                  layer_norm(sum, v.gain, v.bias, 1e-5));
      expect_same(add_rms_norm(v.residual, v.x, p, v.key, v.rows, v.gain, 1e-5), sum,
                  rms_norm(sum, v.gain, 1e-5));
    }
}

}  // namespace
}  // namespace fusor
