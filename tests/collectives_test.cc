// Differentiable collectives against their table in parallel/collectives.h.
#include "parallel/collectives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/trace.h"
#include "runtime/world.h"
#include "tests/near.h"

namespace fusor {
namespace {

using Values = std::vector<Tensor>;  // of all ranks
using Op = std::function<Var(Var, const Group&)>;

Tensor sum(const Values& v) {
  Tensor total = cast(v[0], v[0].dtype());
  for (std::size_t r = 1; r < v.size(); ++r)
    fill(total, [&, t = doubles(total), x = doubles(v[r])](std::size_t i) { return t[i] + x[i]; });
  return total;
}

Tensor joined(const Values& v) {  // by rows
  Shape shape = v[0].shape();
  shape[0] *= static_cast<std::int64_t>(v.size());
  Tensor all(shape, v[0].dtype());
  for (std::size_t r = 0; r < v.size(); ++r)
    fill(all.rows(static_cast<std::int64_t>(r) * v[r].dim(0),
                  static_cast<std::int64_t>(r + 1) * v[r].dim(0)),
         [x = doubles(v[r])](std::size_t i) { return x[i]; });
  return all;
}

Tensor part(const Tensor& whole, int rank, int size) {
  const std::int64_t rows = whole.dim(0) / size;
  return whole.rows(rank * rows, (rank + 1) * rows);
}

// What a collective makes of all ranks' operands, on one of them.
using Rule = std::function<Tensor(const Values&, int rank)>;
int size_of(const Values& v) { return static_cast<int>(v.size()); }
Tensor same(const Values& v, int r) { return v[static_cast<std::size_t>(r)]; }
Tensor sums(const Values& v, int) { return sum(v); }
Tensor joins(const Values& v, int) { return joined(v); }
Tensor part_of_sum(const Values& v, int r) { return part(sum(v), r, size_of(v)); }
Tensor own_part(const Values& v, int r) { return part(same(v, r), r, size_of(v)); }
Tensor blocks(const Values& v, int r) {
  Values to_me;
  for (const Tensor& x : v) to_me.push_back(part(x, r, size_of(v)));
  return joined(to_me);
}

struct Case {
  const char* name;
  Op op;
  Rule forward, backward;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

const Case kCases[] = {
    {"fork", [](Var x, const Group& g) { return fork(x, g); }, same, sums},
    {"join", [](Var x, const Group& g) { return join(std::move(x), g); }, sums, same},
    {"gather_rows", gather_rows, joins, part_of_sum},
    {"scatter_rows", scatter_rows, part_of_sum, joins},
    {"gather_replicated", gather_replicated, joins, own_part},
    {"slice", slice, own_part, joins},
    {"exchange", exchange, blocks, blocks},
};

class Collectives : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, Collectives, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(Collectives, MoveValuesAndGradientsAsTheTableSays) {
  const Case& c = GetParam();
  for (const int size : {2, 3, 4}) {
    const auto n = static_cast<std::size_t>(size);
    Values xs(n), ys(n), dys(n), dxs(n);
    run_ranks(size, [&](World& world) {
      const auto me = static_cast<std::size_t>(world.rank());
      xs[me] = noise({12, 3}, DType::f64, me);
      Tape tape;
      const Var x = Var::input(xs[me], &tape, true);
      const Var y = c.op(x, world.group());
      ys[me] = y.value();
      dys[me] = noise(y.shape(), DType::f64, me + 10);
      tape.backward(y, dys[me]);
      dxs[me] = x.grad().tensor();
    });
    for (int r = 0; r < size; ++r) {
      const auto me = static_cast<std::size_t>(r);
      EXPECT_LT(distance(xs[me], noise({12, 3}, DType::f64, me)), 1e-15) << "x was overwritten";
      EXPECT_LT(distance(ys[me], c.forward(xs, r)), 1e-14) << size << " ranks, rank " << r;
      EXPECT_LT(distance(dxs[me], c.backward(dys, r)), 1e-14) << size << " ranks, rank " << r;
    }
  }
}

TEST_P(Collectives, OfOneRankAreTheValueItself) {
  Tape tape;
  const Var x = Var::input(noise({4, 3}, DType::f32, 1), &tape, true);
  const Var y = GetParam().op(x, Group());
  EXPECT_EQ(y.value().raw(), x.value().raw());
  EXPECT_EQ(tape.size(), 0);
}

TEST_P(Collectives, BearTheLayersNameAndOwnTheirBuffers) {
  Trace trace;
  const Device meta = Device::meta(trace);
  const Group group = meta_group(trace, 1, 2, "tp");
  Tape tape;
  Var y;
  {
    const Scope block(meta, "block.3"), attn(meta, "attn");
    const Tensor x({4, 3}, DType::f32, meta);
    y = GetParam().op(Var::input(x, &tape, true), group);
  }
  tape.backward(y, Tensor(y.shape(), DType::f32, meta));
  int calls = 0;
  for (const TraceEvent& event : trace.events)
    if (const auto* call = std::get_if<CommEvent>(&event)) {
      ++calls;
      EXPECT_THAT(call->name, testing::StartsWith(std::string("block.3/attn/") + GetParam().name));
    }
  EXPECT_GE(calls, 1);
}

TEST(Join, SumsInPlaceWhatNothingElseHolds) {
  run_ranks(2, [](World& world) {
    Var x = Var::input(noise({4, 3}, DType::f32, 1));
    const std::byte* bytes = x.value().raw();
    EXPECT_EQ(join(std::move(x), world.group()).value().raw(), bytes);
  });
}

TEST(Rows, ThatDoNotDivideAreRefused) {
  Trace trace;
  const Device meta = Device::meta(trace);
  const Group group = meta_group(trace, 0, 4, "tp");
  const Scope layer(meta, "embed");
  try {
    scatter_rows(Var::input(Tensor({6, 3}, DType::f32, meta)), group);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(),
                testing::HasSubstr("embed/scatter_rows: 6 rows do not divide into 4 equal "
                                   "parts, one for each rank of tp"));
  }
}

}  // namespace
}  // namespace fusor
