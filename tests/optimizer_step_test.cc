#include "parallel/optimizer_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/world.h"
#include "tests/whole_tensors.h"

namespace fusor {
namespace {

// What a layer on a mesh of tp and ep holds: a matrix whose rows are split over tp, one whose
// columns are, a gain that sees only a part of the rows, a bias that sees all, and two experts.
struct Weights {
  Parameter rows, columns, gain{"gain", {70}, {.constant = 1}}, bias{"bias", {33}, {}}, expert;

  explicit Weights(const Mesh& mesh)
      : rows(split_rows("rows", 12, mesh.tp), {12 / mesh.tp.size(), 7}, {.std = 1}),
        columns("columns", {5, 16 / mesh.tp.size()}, {.std = 1}),
        expert("expert." + std::to_string(mesh.ep.rank()), {9, 11}, {.std = 1}) {
    columns.whole_columns = 16;
    columns.first_column = mesh.tp.rank() * columns.shape[1];
    gain.partial_over_tp = mesh.tp.size() > 1;
    expert.expert = true;
  }
  static std::vector<Piece> split_rows(const char* name, std::int64_t whole, const Group& tp) {
    const std::int64_t rows = whole / tp.size();
    return {{.name = name, .rows = rows, .first = tp.rank() * rows, .whole = whole}};
  }
  std::vector<Parameter*> all() { return {&rows, &columns, &gain, &bias, &expert}; }
};

// The gradient of element i of a whole tensor that sees all rows, and of the share of a tp rank.
double gradient(const std::string& name, std::int64_t i, std::int64_t micro) {
  return std::sin(static_cast<double>(micro * 1000 + i)) * static_cast<double>(name.size());
}
double share(int tp_rank, int tp_size) { return tp_size == 1 ? 1 : tp_rank == 0 ? 0.25 : 0.75; }

void backward(const Mesh& mesh, std::int64_t micro, const std::vector<Parameter*>& weights) {
  Tape tape;
  Var y = Var::input(Tensor({1}, DType::f64), &tape, true);
  for (const Parameter* p : weights)
    y = record(
        Tensor({1}, DType::f64), {y, p->var}, [up = y.grad()](const Tensor& dy) { up.pass(dy); },
        [&mesh, p, micro](const Tensor&) {
          p->var.grad().accumulate([&](const Tensor& to, bool add) {
            const std::int64_t cols = p->shape.size() > 1 ? p->shape[1] : 1;
            const std::int64_t whole = p->whole_columns > 0 ? p->whole_columns : cols;
            const double part = p->partial_over_tp ? share(mesh.tp.rank(), mesh.tp.size()) : 1;
            for (std::int64_t e = 0; e < to.size(); ++e) {
              const std::int64_t at =
                  (p->pieces[0].first + e / cols) * whole + p->first_column + e % cols;
              set(to, e,
                  (add ? fusor::at(to, e) : 0) + part * gradient(p->pieces[0].name, at, micro));
            }
          });
        });
  tape.backward(y, Tensor({1}, DType::f64));
}

struct Stepped {
  std::map<std::string, std::vector<double>> state;
  double norm = 0;
};
Stepped stepped(const MeshShape& shape, int zero) {
  WholeTensors kept, shares;
  Stepped result;
  run_ranks(shape.size(), [&](World& world) {
    const Mesh mesh = Mesh::over(world.group(), shape);
    Weights weights(mesh);
    ParameterStore store(
        {weights.all()},
        {.compute = DType::f64, .zero = zero, .reduce = Reduce::exact, .micros = 4 / shape.dp},
        mesh, Device::heap(true));
    OptimizerStep step({&store}, {}, mesh, Device());
    store.initialize(3);
    for (std::int64_t i = 0; i < 4 / shape.dp; ++i) {
      store.begin_micro(i);
      // An expert has the same gradient in its copies: as many as dp / ep of the micro-batches.
      backward(mesh, mesh.place.dp * (4 / shape.dp) + i, weights.all());
      store.end_micro(i);
    }
    step.run({.lr = 0.1, .weight_decay = 0.1, .clip = 1}, 1);
    kept.add(store.state(true));
    shares.add_share(store.share_of_state(true));
    if (world.rank() == 0) result.norm = at(step.grad_norm(), 0);
  });
  EXPECT_EQ(shares.gap(), "");
  EXPECT_EQ(kept.values, shares.values);
  result.state = shares.values;
  return result;
}

// By the definition, over whole tensors. Expert e sees the micro-batches of the ranks that hold it.
double norm_of(int dp, int ep) {
  Weights whole{Mesh()};
  double sum = 0;
  const auto add = [&](const std::string& name, std::int64_t size, auto&& sees) {
    for (std::int64_t i = 0; i < size; ++i) {
      double g = 0;
      for (std::int64_t micro = 0; micro < 4; ++micro)
        if (sees(micro)) g += gradient(name, i, micro);
      sum += g * g;
    }
  };
  for (const Parameter* p : whole.all())
    if (!p->expert) add(p->pieces[0].name, num_elements(p->shape), [](auto) { return true; });
  for (int e = 0; e < ep; ++e)
    add("expert." + std::to_string(e), 99,
        [&](std::int64_t micro) { return micro / (4 / dp) % ep == e; });
  return std::sqrt(sum);
}

TEST(OptimizerStep, EveryElementCountsOnce) {
  for (const MeshShape& shape : {MeshShape{},
                                 {.dp = 2},
                                 {.tp = 2},
                                 {.dp = 2, .tp = 2},
                                 {.dp = 4, .ep = 2},
                                 {.dp = 4, .tp = 2, .ep = 2, .shard = 2},
                                 {.dp = 2, .tp = 2, .ep = 2}})
    for (const int zero : {0, 1, 2, 3}) {
      const double norm = norm_of(shape.dp, shape.ep);
      EXPECT_NEAR(stepped(shape, zero).norm, norm, 1e-12 * norm)
          << "dp " << shape.dp << " tp " << shape.tp << " ep " << shape.ep << " zero " << zero;
    }
}

TEST(OptimizerStep, BitsDependNeitherOnDataParallelismNorOnZero) {
  const Stepped one = stepped({}, 0), split = stepped({.tp = 2}, 0);
  for (const int zero : {0, 1, 2, 3})
    for (const int dp : {2, 4}) {
      EXPECT_EQ(stepped({.dp = dp}, zero).state, one.state) << "dp " << dp << " zero " << zero;
      EXPECT_EQ(stepped({.dp = dp, .tp = 2}, zero).state, split.state)
          << "dp " << dp << " tp 2 zero " << zero;
    }
  for (const auto& [name, values] : one.state)
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(split.state.at(name)[i], values[i], 1e-12) << name;
}

// What the loss's scale multiplies is divided by it again; an overflow on one rank stops all.
TEST(OptimizerStep, SkipsWhatOverflowedAndHalvesTheScale) {
  run_ranks(2, [&](World& world) {
    const Mesh mesh = Mesh::over(world.group(), {.dp = 2});
    Parameter p{"p", {70}, {.std = 1}};
    ParameterStore store({{&p}}, {.zero = 2, .reduce = Reduce::exact}, mesh, Device::heap(true));
    OptimizerStep step({&store}, {.scale = 64, .patience = 2}, mesh, Device());
    store.initialize(3);
    const auto values = [&] {
      std::vector<double> all;
      for (const StateBox& box : store.state(true)) {
        const std::vector<double> part = doubles(box.tensor);
        all.insert(all.end(), part.begin(), part.end());
      }
      return all;
    };
    const auto update = [&](double gradient) {
      store.begin_micro(0);
      Tape tape;
      const Var y = record(
          Tensor({1}, DType::f32), {Var::input(Tensor({1}, DType::f32), &tape, true), p.var},
          [](const Tensor&) {},
          [&](const Tensor&) {
            p.var.grad().accumulate(
                [&](const Tensor& to, bool) { fill(to, [&](std::size_t) { return gradient; }); });
          });
      tape.backward(y, Tensor({1}, DType::f32));
      store.end_micro(0);
      step.run({.lr = 0.1}, 1);
      return at(step.loss_scale(), 0);
    };
    const std::vector<double> before = values();
    EXPECT_EQ(update(world.rank() == 1 ? INFINITY : 1), 32);
    EXPECT_EQ(values(), before);
    EXPECT_TRUE(std::isnan(at(step.grad_norm(), 0)));
    EXPECT_EQ(update(16), 32);
    EXPECT_NE(values(), before);
    EXPECT_NEAR(at(step.grad_norm(), 0), std::sqrt(70), 1e-6);  // 2 x 16 / 32
    EXPECT_EQ(update(16), 64);
  });
}

}  // namespace
}  // namespace fusor
