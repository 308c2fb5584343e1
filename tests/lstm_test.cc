#include "ops/lstm.h"

#include <gmock/gmock.h>

#include "ops/linear.h"
#include "tests/golden.h"
#include "tests/near.h"

namespace fusor {
namespace {

Var weight(const Tensor& value) { return Var::parameter(value, empty_like(value)); }

TEST(Lstm, IsPyTorchs) {
  const Golden golden("lstm");
  const auto rows = [](const Tensor& t) { return t.view({t.dim(0) * t.dim(1), t.dim(2)}); };
  Tape tape;
  const Var x = Var::input(rows(golden.tensor("x")), &tape, true);
  const Var u = weight(golden.tensor("u")), w = weight(golden.tensor("w")),
            b = weight(golden.tensor("b"));
  const Var y = lstm(linear(x, u, b), w, golden.tensor("counts"), 2);
  EXPECT_LT(distance(y.value(), rows(golden.tensor("y"))), 1e-13);
  tape.backward(y, rows(golden.tensor("dy")));
  EXPECT_LT(distance(x.grad().tensor(), rows(golden.tensor("grad.x"))), 1e-13);
  for (const auto& [name, of] : {std::pair("grad.u", u), {"grad.w", w}, {"grad.b", b}})
    EXPECT_LT(distance(of.grad().tensor(), golden.tensor(name)), 1e-13) << name;
}

TEST(Lstm, ReadsNothingPastACount) {
  const auto run = [](double past) {
    const Tensor gates = noise({6, 16}, DType::f64, 1), counts({2}, DType::i32);
    fill(counts, [](std::size_t i) { return i == 0 ? 2 : 0; });
    fill(gates.rows(2, 6), [=](std::size_t) { return past; });
    Tape tape;
    const Var x = Var::input(gates, &tape, true), w = weight(noise({16, 2}, DType::f64, 2));
    const Var y = lstm(x, w, counts, 2);
    EXPECT_THAT(doubles(y.value().rows(2, 6)), testing::Each(0));
    tape.backward(y, noise(y.shape(), DType::f64, 3));
    EXPECT_THAT(doubles(x.grad().tensor().rows(2, 6)), testing::Each(0));
    return std::pair(doubles(y.value()), doubles(w.grad().tensor()));
  };
  EXPECT_EQ(run(0), run(NAN));
}

TEST(Lstm, NamesWhatDoesNotFit) {
  const auto message = [](const Shape& gates, const Shape& w, std::int32_t count,
                          std::int64_t directions) {
    const Tensor counts({2}, DType::i32);
    fill(counts, [=](std::size_t) { return count; });
    try {
      lstm(Var::input(noise(gates, DType::f64, 1)), weight(noise(w, DType::f64, 1)), counts,
           directions);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({6, 8}, {8, 2}, 3, 1), "");
  EXPECT_THAT(message({6, 8}, {8, 2}, 3, 2),
              testing::HasSubstr("gates [6, 8] and w [8, 2] of 2 directions"));
  EXPECT_THAT(message({5, 8}, {8, 2}, 3, 1), testing::HasSubstr("gates [5, 8] but counts [2]"));
  EXPECT_THAT(message({6, 8}, {8, 2}, 4, 1), testing::HasSubstr("a count of 4 among 3 frames"));
}

}  // namespace
}  // namespace fusor
