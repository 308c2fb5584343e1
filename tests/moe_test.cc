// The mixture-of-experts layer: values and gradients against its definition in plain loops, and
// every layout against one rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "parallel/comm_plan.h"
#include "parallel/experts.h"
#include "runtime/memory_plan.h"
#include "runtime/world.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kSeqLen = 8, kSamples = 2, kWidth = 6;

struct Layer {
  const char* name;
  ExpertsShape shape;
};
const Layer kLayers[] = {
    {"gelu_one_chosen", {.width = kWidth, .hidden = 8, .experts = 4, .chosen = 1}},
    {"swiglu_two_chosen", {.width = kWidth, .hidden = 4, .experts = 4, .chosen = 2, .gated = true}},
    {"gelu_drops",
     {.width = kWidth,
      .hidden = 4,
      .experts = 4,
      .chosen = 2,
      .capacity_factor = 0.7,
      .balance_loss = 0.3}},
    {"swiglu_drops",
     {.width = kWidth,
      .hidden = 8,
      .experts = 8,
      .chosen = 3,
      .gated = true,
      .capacity_factor = 0.8,
      .balance_loss = 0.1}},
};

// One number for each element of a piece's whole tensor, whoever holds it.
double weight_at(const std::string& name, std::int64_t row, std::int64_t col) {
  return 2.0 * uniform(random_key(3, name), static_cast<std::uint64_t>(row * 1000 + col)) - 1;
}

// Calls f(element of p, piece's name, row and column in the whole tensor).
template <class F>
void each_element(const Parameter& p, F&& f) {
  const std::int64_t cols = p.shape.at(1);
  std::int64_t i = 0;
  for (const Piece& piece : p.pieces)
    for (std::int64_t r = 0; r < piece.rows; ++r)
      for (std::int64_t c = 0; c < cols; ++c)
        f(i++, piece.name, piece.first + r, p.first_column + c);
}

void bind(Experts& layer, const Device& device) {
  layer.visit([&](Parameter& p) {
    const Tensor value(p.shape, DType::f64, device);
    if (device.kind() != DeviceKind::meta)
      each_element(p, [&](std::int64_t i, const std::string& name, std::int64_t r, std::int64_t c) {
        set(value, i, weight_at(name, r, c));
      });
    p.var = Var::parameter(value, Tensor(p.shape, DType::f64, device));
  });
}

using Elements = std::map<std::string, double>;  // "router.weight[2,3]"

std::string element(const std::string& name, std::int64_t r, std::int64_t c) {
  return name + "[" + std::to_string(r) + "," + std::to_string(c) + "]";
}

// The layer's input and the gradient of its output are functions of the global row.
double input_at(std::int64_t row, std::int64_t col) { return weight_at("x", row, col); }
double dy_at(std::int64_t row, std::int64_t col) { return weight_at("dy", row, col); }

// What a rank sees of a pass, its weights' gradients summed over the ranks that share them.
struct Result {
  Elements y, dx, gradients;
};

void reduce_gradient(const Parameter& p, const Mesh& mesh) {
  const Tensor& g = p.var.grad().tensor();
  (p.expert ? mesh.expert_data : mesh.data)->all_reduce(g, ReduceOp::sum, "gradient").wait();
  if (p.partial_over_tp) mesh.tp->all_reduce(g, ReduceOp::sum, "gradient").wait();
}

// Forward and backward of `rows` rows that stand where `map` says.
Result play(const ExpertsShape& shape, const Mesh& mesh, const RowMap& map, std::int64_t rows,
            const Device& device = Device::heap(/*poison=*/true)) {
  const Program program(device, "micro");
  Experts layer("mlp", shape, 1, 1, mesh);
  bind(layer, device);
  const bool meta = device.kind() == DeviceKind::meta;
  const Tensor x({rows, kWidth}, DType::f64, device), dy({rows, kWidth}, DType::f64, device);
  const auto each = [&](auto&& f) {
    for (std::int64_t r = 0; r < rows && !meta; ++r)
      for (std::int64_t c = 0; c < kWidth; ++c) f(r * kWidth + c, map.global_row(r), c);
  };
  each([&](std::int64_t i, std::int64_t r, std::int64_t c) {
    set(x, i, input_at(r, c));
    set(dy, i, dy_at(r, c));
  });
  Tape tape;
  const Var in = Var::input(x, &tape, true), out = layer(in, map);
  tape.backward(out, dy);
  Result result;
  each([&](std::int64_t i, std::int64_t r, std::int64_t c) {
    result.y[element("y", r, c)] = at(out.value(), i);
    result.dx[element("x", r, c)] = at(in.grad().tensor(), i);
  });
  layer.visit([&](Parameter& p) {
    reduce_gradient(p, mesh);
    if (meta) return;
    each_element(p, [&](std::int64_t i, const std::string& name, std::int64_t r, std::int64_t c) {
      result.gradients[element(name, r, c)] = at(p.var.grad().tensor(), i);
    });
  });
  return result;
}

Result serial(const ExpertsShape& shape, std::int64_t first_sample) {
  return play(shape, {}, RowMap::whole(first_sample, kSeqLen), kSamples * kSeqLen);
}

// Worst |got - want| as a fraction of the largest |want|; every element of `got` must be wanted.
double distance(const Elements& got, const Elements& want) {
  double worst = got.empty() ? INFINITY : 0, scale = 1e-30;
  for (const auto& [name, value] : want) scale = std::max(scale, std::abs(value));
  for (const auto& [name, value] : got)
    worst =
        std::max(worst, want.contains(name) && !std::isnan(value) ? std::abs(value - want.at(name))
                                                                  : INFINITY);
  return worst / scale;
}

// The layer as its definition says it, in plain loops; one weight or input may be moved.
class Naive {
 public:
  Naive(const ExpertsShape& shape, std::string moved = "", double by = 0)
      : s_(shape),
        moved_(std::move(moved)),
        by_(by),
        counts_(index(shape.experts)),
        served_(index(shape.experts)) {
    for (std::int64_t t = 0; t < kTokens; ++t) choose(t);
    for (std::int64_t j = 0; j < s_.chosen; ++j)
      for (std::int64_t t = 0; t < kTokens; ++t) serve(t, j);
  }

  double y(std::int64_t t, std::int64_t c) const { return y_[index(t)][index(c)]; }
  // <y, dy> and the balance loss of the micro-batch.
  double loss() const {
    double sum = 0;
    for (std::int64_t t = 0; t < kTokens; ++t)
      for (std::int64_t c = 0; c < kWidth; ++c) sum += y(t, c) * dy_at(t, c);
    for (std::int64_t e = 0; e < s_.experts; ++e) {
      double f = static_cast<double>(counts_[index(e)]) / static_cast<double>(kTokens * s_.chosen);
      for (std::int64_t t = 0; t < kTokens; ++t)
        sum += s_.balance_loss * static_cast<double>(s_.experts) * f * p_[index(t)][index(e)];
    }
    return sum;
  }
  std::int64_t dropped() const { return dropped_; }

 private:
  static constexpr std::int64_t kTokens = kSamples * kSeqLen;
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  double at(const std::string& name, std::int64_t r, std::int64_t c) const {
    return weight_at(name, r, c) + (element(name, r, c) == moved_ ? by_ : 0);
  }

  void choose(std::int64_t t) {
    std::vector<double> p(index(s_.experts), 0);
    double sum = 0;
    for (std::int64_t e = 0; e < s_.experts; ++e) {
      for (std::int64_t c = 0; c < kWidth; ++c)
        p[index(e)] += at("mlp.router.weight", e, c) * at("x", t, c);
      sum += p[index(e)] = std::exp(p[index(e)]);
    }
    std::vector<std::int64_t> order;
    double chosen = 0;
    for (std::int64_t j = 0; j < s_.chosen; ++j) {
      std::int64_t best = -1;
      for (std::int64_t e = 0; e < s_.experts; ++e)
        if (std::ranges::count(order, e) == 0 && (best < 0 || p[index(e)] > p[index(best)]))
          best = e;
      order.push_back(best);
      chosen += p[index(best)];
      ++counts_[index(best)];
    }
    for (double& x : p) x /= sum;
    weights_.emplace_back();
    for (const std::int64_t e : order)
      weights_.back().push_back(p[index(e)] * (s_.chosen == 1 ? 1 : sum / chosen));
    p_.push_back(p), order_.push_back(order);
    y_.emplace_back(index(kWidth), 0.0);
  }

  void serve(std::int64_t t, std::int64_t j) {
    const std::int64_t e = order_[index(t)][index(j)];
    const double share = s_.capacity_factor * static_cast<double>(s_.chosen * kTokens) /
                         static_cast<double>(s_.experts);
    if (s_.capacity_factor > 0 && static_cast<double>(served_[index(e)]++) >= std::ceil(share)) {
      ++dropped_;
      return;
    }
    const std::string expert = "mlp.expert." + std::to_string(e);
    for (std::int64_t h = 0; h < s_.hidden; ++h) {
      double up = 0, gate = 0;
      for (std::int64_t c = 0; c < kWidth; ++c) {
        up += at(expert + ".up.weight", h, c) * at("x", t, c);
        if (s_.gated) gate += at(expert + ".gate.weight", h, c) * at("x", t, c);
      }
      const double cubic = up + 0.044715 * up * up * up;
      const double hidden = s_.gated ? gate / (1 + std::exp(-gate)) * up
                                     : up / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * cubic));
      for (std::int64_t c = 0; c < kWidth; ++c)
        y_[index(t)][index(c)] +=
            weights_[index(t)][index(j)] * at(expert + ".down.weight", c, h) * hidden;
    }
  }

  ExpertsShape s_;
  std::string moved_;
  double by_;
  std::vector<std::vector<double>> p_, weights_, y_;  // by token
  std::vector<std::vector<std::int64_t>> order_;
  std::vector<std::int64_t> counts_, served_;  // by expert
  std::int64_t dropped_ = 0;
};

class MixtureOfExperts : public testing::TestWithParam<Layer> {};
INSTANTIATE_TEST_SUITE_P(, MixtureOfExperts, testing::ValuesIn(kLayers),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(MixtureOfExperts, IsWhatItsDefinitionSays) {
  const ExpertsShape& shape = GetParam().shape;
  const Naive naive(shape);
  EXPECT_EQ(naive.dropped() > 0, shape.capacity_factor > 0);
  Result got = serial(shape, 0);
  Elements want;
  for (std::int64_t t = 0; t < kSamples * kSeqLen; ++t)
    for (std::int64_t c = 0; c < kWidth; ++c) want[element("y", t, c)] = naive.y(t, c);
  EXPECT_LT(distance(got.y, want), 1e-13);
}

TEST_P(MixtureOfExperts, HasTheGradientsOfItsDefinition) {
  const ExpertsShape& shape = GetParam().shape;
  constexpr double kStep = 1e-4;
  Result got = serial(shape, 0);
  got.gradients.merge(got.dx);
  Elements want, probed;
  int i = 0;
  for (const auto& [name, gradient] : got.gradients) {
    if (i++ % 29 != 0) continue;
    const auto loss = [&](double steps) { return Naive(shape, name, steps * kStep).loss(); };
    want[name] = (8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * kStep);
    probed[name] = gradient;
  }
  EXPECT_LT(distance(probed, want), 1e-9);
}

struct Layout {
  MeshShape shape;
  bool sequence = false;
};
const Layout kLayouts[] = {
    {{.dp = 2}},
    {{.dp = 2, .ep = 2}},
    {{.dp = 4, .ep = 2}},
    {{.dp = 4, .ep = 4}},
    {{.tp = 2}},
    {{.tp = 2}, true},
    {{.cp = 2}},
    {{.dp = 2, .tp = 2, .ep = 2}, true},
    {{.dp = 2, .cp = 2, .ep = 2}},
    {{.dp = 2, .tp = 2, .cp = 2, .ep = 2}, true},
};

// Where this rank's rows stand.
RowMap rows_of(const Mesh& mesh, std::int64_t& rows) {
  const RowMap map =
      RowMap::zigzag(mesh.dp.rank() * kSamples, kSeqLen, mesh.cp.rank(), mesh.cp.size());
  rows = kSamples * map.local_len / (mesh.sequence ? mesh.tp.size() : 1);
  return mesh.sequence ? map.rows_from(mesh.tp.rank() * rows) : map;
}

TEST_P(MixtureOfExperts, IsTheSameUnderEveryLayout) {
  const ExpertsShape& shape = GetParam().shape;
  for (const Layout& layout : kLayouts) {
    Result want;
    for (int dp = 0; dp < layout.shape.dp; ++dp) {
      Result micro = serial(shape, dp * kSamples);
      want.y.merge(micro.y), want.dx.merge(micro.dx);
      for (const auto& [name, gradient] : micro.gradients) want.gradients[name] += gradient;
    }
    run_ranks(layout.shape.size(), [&](World& world) {
      const Mesh mesh = Mesh::over(world.group(), layout.shape, layout.sequence);
      std::int64_t rows = 0;
      const RowMap map = rows_of(mesh, rows);
      const Result got = play(shape, mesh, map, rows);
      const auto at = [&](const char* what) {
        const MeshShape& s = layout.shape;
        return testing::Message() << what << " under dp " << s.dp << " tp " << s.tp << " cp "
                                  << s.cp << " ep " << s.ep << ", rank " << world.rank();
      };
      EXPECT_LT(distance(got.y, want.y), 1e-12) << at("y");
      EXPECT_LT(distance(got.dx, want.dx), 1e-12) << at("dx");
      EXPECT_LT(distance(got.gradients, want.gradients), 1e-12) << at("gradients");
    });
  }
}

// Writes down what passes through it, as planned_collectives() does.
class Recorder final : public Transport {
 public:
  Recorder(std::unique_ptr<Transport> inner, std::string& log)
      : Transport(inner->rank(), inner->size(), inner->name()),
        inner_(std::move(inner)),
        log_(log) {}
  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    return std::make_unique<Recorder>(inner_->split(colors, std::move(name)), log_);
  }

 private:
  Pending start(CommCall c) override {
    std::ostringstream line;
    line << std::ranges::count(log_, '\n') + 1 << ' ' << name_of(c.kind) << ' ' << name() << ' '
         << c.in.dtype() << ' ' << c.in.size() << ' ' << c.what << '\n';
    log_ += line.str();
    switch (c.kind) {
      case CommKind::all_reduce:
        return inner_->all_reduce(c.in, c.op, c.what);
      case CommKind::all_gather:
        return inner_->all_gather(c.in, c.out, c.what);
      case CommKind::reduce_scatter:
        return inner_->reduce_scatter(c.in, c.out, c.what);
      case CommKind::all_to_all:
        return inner_->all_to_all(c.in, c.out, c.what);
      default:
        raise("the layer makes no such call");
    }
  }
  std::unique_ptr<Transport> inner_;
  std::string& log_;
};

TEST_P(MixtureOfExperts, CommunicatesAndAllocatesAsRehearsed) {
  const MeshShape shape{.dp = 2, .tp = 2, .cp = 2, .ep = 2};
  run_ranks(shape.size(), [&](World& world) {
    std::string log;
    const auto pass = [&](const Group& group, const Device& device) {
      const Mesh mesh = Mesh::over(group, shape, /*sequence=*/true);
      std::int64_t rows = 0;
      const RowMap map = rows_of(mesh, rows);
      play(GetParam().shape, mesh, map, rows, device);
    };
    Trace trace;
    pass(meta_group(trace, world.rank(), world.size(), "world"), Device::meta(trace));
    const Device arena = Device::arena(plan_memory(trace));
    std::vector<int> all(static_cast<std::size_t>(world.size()), 0);
    pass(Group(std::make_shared<Recorder>(world.group()->split(all, "world"), log)), arena);
    EXPECT_EQ(log, planned_collectives(trace));
    EXPECT_THAT(log, HasSubstr("all_to_all ep f64"));
    EXPECT_THAT(log, HasSubstr("all_reduce cp i32"));
  });
}

TEST(Experts, RefuseLayoutsThatCannotSplitThem) {
  Trace trace;
  const Mesh six = Mesh::over(meta_group(trace, 0, 6, "world"), {.dp = 6, .ep = 6});
  const ExpertsShape shape{.width = 6, .hidden = 8, .experts = 8, .chosen = 2};
  EXPECT_EQ(thrown_by([&] { Experts("mlp", shape, 1, 1, six); }),
            "parallel.ep 6 does not divide 8 experts, the nearest that works: 4 or 8");
  EXPECT_THAT(thrown_by([&] { Mesh::over(meta_group(trace, 0, 6, "world"), {.dp = 6, .ep = 4}); }),
              HasSubstr("ep 4 does not divide dp 6, the nearest that works: 3 or 6"));
}

}  // namespace
}  // namespace fusor
