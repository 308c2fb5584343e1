// Training whose state is split over ranks, against one rank.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>

#include "models/gpt.h"
#include "parallel/optimizer_step.h"
#include "runtime/memory_plan.h"
#include "runtime/trace.h"
#include "runtime/world.h"
#include "tests/whole_tensors.h"

namespace fusor {
namespace {

constexpr std::int64_t kMicros = 8, kSeqLen = 8, kWords = 37;  // micro-batches of a step

GptConfig small_gpt() {
  return resolve({.vocab_size = kWords, .seq_len = kSeqLen, .layers = 2, .width = 24, .heads = 2});
}

struct Layout {
  int dp = 1, pp = 1, zero = 0, shard = 0;
  Reduce reduce = Reduce::exact;
  std::int64_t bucket_bytes = 4096;
  DType dtype = DType::f32;

  MeshShape mesh() const { return {.dp = dp, .pp = pp, .shard = shard}; }
  StoreOptions store(std::int64_t micros) const {
    return {.compute = dtype,
            .zero = zero,
            .reduce = reduce,
            .micros = micros,
            .bucket_bytes = bucket_bytes};
  }
};
std::string text_of(const Layout& l) {
  return "dp " + std::to_string(l.dp) + " pp " + std::to_string(l.pp) + " zero " +
         std::to_string(l.zero) + " shard " + std::to_string(l.shard) +
         (l.reduce == Reduce::fast ? " fast" : " exact");
}

// A GPT in two stages of one block and one end each, driven by hand: both on this rank, or one, as
// the mesh has it. The weight of embedding and head is in both stages.
class Stages {
 public:
  Stages(const Layout& layout, const Mesh& mesh, const Device& device, bool two_stores)
      : mesh_(mesh), device_(device), micros_(kMicros / layout.dp), gpt_(small_gpt(), Mesh()) {
    const auto all = parameters_by_part(gpt_);
    Parameter* const main = all.front().front();
    Parameter* const twin = all.back().back();
    const std::vector<std::vector<int>> stages = two_stores
                                                     ? std::vector<std::vector<int>>{{0, 1}, {2, 3}}
                                                     : std::vector<std::vector<int>>{{0, 1, 2, 3}};
    for (int s = 0; s < static_cast<int>(stages.size()); ++s) {
      if (mesh.pp.size() > 1 && s != mesh.pp.rank()) continue;
      StoreOptions options = layout.store(micros_);
      if (two_stores) options.ties = {{s == 0 ? main : twin, mesh.pp.size() > 1 ? 1 - s : 0}};
      std::vector<std::vector<Parameter*>> parts;
      for (const int part : stages[static_cast<std::size_t>(s)])
        parts.push_back(all[static_cast<std::size_t>(part)]);
      stores_.push_back(std::make_unique<ParameterStore>(parts, options, mesh, device));
      parts_.push_back(stages[static_cast<std::size_t>(s)]);
    }
    std::vector<ParameterStore*> pointers;
    for (const auto& store : stores_) pointers.push_back(store.get());
    step_.emplace(pointers, LossScaling{}, mesh, device);
  }

  void initialize() {
    for (const auto& store : stores_) store->initialize(5);
  }
  void step(std::int64_t number) {
    for (std::int64_t i = 0; i < micros_; ++i) micro(number, i);
    const Program program(device_, "update");
    step_->run(
        {.adamw = {.eps = 1e-3}, .lr = 1e-2, .step = number + 1, .weight_decay = 0.1, .clip = 0.05},
        kMicros * kSeqLen);
  }
  template <class F>
  void each_store(F&& f) {
    for (const auto& store : stores_) f(*store);
  }
  double grad_norm() const { return at(step_->grad_norm(), 0); }

 private:
  // One tape a stage; the backward pass of a part fetches its weights, and asks for the next ones.
  Var forward(std::size_t s, Var x, const Batch& batch, const Pass& pass) {
    ParameterStore& store = *stores_[s];
    const int count = static_cast<int>(parts_[s].size());
    for (int p = 0; p < count; ++p) {
      const int part = parts_[s][static_cast<std::size_t>(p)];
      store.fetch(p);
      if (p + 1 < count) store.prefetch(p + 1);
      pass.tape->on_backward([&store, p] { store.release(p); });
      x = gpt_.run(part, {x}, batch, pass);
      pass.tape->on_backward([&store, p] {
        store.fetch(p);
        if (p > 0) store.prefetch(p - 1);
      });
      store.release(p);
    }
    return x;
  }

  void micro(std::int64_t number, std::int64_t i) {
    const Program program(device_, "micro");
    const std::int64_t leaf = mesh_.dp.rank() * micros_ + i;
    Batch batch = Batch::empty(token_batch(1, RowMap::whole(0, kSeqLen)), device_);
    if (device_.kind() == DeviceKind::cpu) {
      const auto seed = static_cast<std::uint64_t>(number * kMicros + leaf);
      batch.values[0] = noise_ids({1, kSeqLen}, kWords, seed);
      batch.values[1] = noise_ids({1, kSeqLen}, kWords, seed + 1000);
    }
    const bool first = parts_.front().front() == 0, last = parts_.back().back() == 3;
    const Shape hidden{kSeqLen, 24};
    std::vector<Tape> tapes(stores_.size());
    std::vector<Var> in(stores_.size()), out(stores_.size());
    const Tensor received(first ? Shape{0} : hidden, DType::f32, device_);
    if (!first) mesh_.pp->recv(received, 0, "x").wait();
    for (std::size_t s = 0; s < stores_.size(); ++s) {
      const Tensor x = s > 0 ? out[s - 1].value() : received;
      if (s > 0 || !first) in[s] = Var::input(x, &tapes[s], /*wants_grad=*/true);
      out[s] = forward(s, in[s], batch,
                       {.tape = &tapes[s],
                        .training = true,
                        .seed = 9,
                        .step = step_number(number),
                        .first_sample = leaf});
    }
    Tensor dy(last ? Shape{1} : hidden, last ? DType::f64 : DType::f32, device_);
    if (last) {
      ops_fill_one(dy);
    } else {
      mesh_.pp->send(out.back().value(), 1, "y").wait();
      mesh_.pp->recv(dy, 1, "dy").wait();
    }
    for (std::size_t s = stores_.size(); s-- > 0;) {
      stores_[s]->begin_micro(i);
      tapes[s].backward(out[s], std::exchange(dy, {}));
      stores_[s]->end_micro(i);
      if (in[s].grad().wanted()) dy = in[s].grad().tensor();
    }
    if (!first) mesh_.pp->send(dy, 0, "dx").wait();
  }
  static void ops_fill_one(const Tensor& t) {
    if (t.device().kind() == DeviceKind::cpu) set(t, 0, 1);
  }

  Mesh mesh_;
  Device device_;
  std::int64_t micros_;
  Gpt gpt_;
  std::vector<std::unique_ptr<ParameterStore>> stores_;
  std::vector<std::vector<int>> parts_;  // of each store
  std::optional<OptimizerStep> step_;
};

struct Trained {
  std::map<std::string, std::vector<double>> state;
  double grad_norm = 0;
};

// Three steps of a layout, from the start or from `state`.
Trained train(const Layout& layout, bool two_stores = false, const WholeTensors* from = nullptr) {
  WholeTensors kept, shares;
  Trained result;
  run_ranks(layout.mesh().size(), [&](World& world) {
    Stages stages(layout, Mesh::over(world.group(), layout.mesh()), Device::heap(true),
                  two_stores || layout.pp > 1);
    stages.initialize();
    if (from)
      stages.each_store([&](ParameterStore& store) {
        from->read(store.state(true));
        store.publish();
      });
    for (std::int64_t step = from ? 3 : 0, end = step + 3; step < end; ++step) stages.step(step);
    stages.each_store([&](ParameterStore& store) {
      kept.add(store.state(true));
      shares.add_share(store.share_of_state(true));
    });
    if (world.rank() == 0) result.grad_norm = stages.grad_norm();
  });
  EXPECT_EQ(shares.gap(), "") << text_of(layout);
  EXPECT_EQ(shares.values, kept.values) << text_of(layout);
  result.state = shares.values;
  return result;
}

const Trained& serial() {
  static const Trained trained = train({});
  return trained;
}

TEST(Zero, ExactSumsGiveTheBitsOfOneRank) {
  ASSERT_GT(serial().grad_norm, 0.05);  // it is clipped
  for (const auto& [dp, shard] : {std::pair{1, 0}, {2, 0}, {4, 0}, {4, 2}, {8, 0}, {8, 2}, {8, 4}})
    for (const int zero : {0, 1, 2, 3})
      for (const std::int64_t bucket : {64, 4096, 1 << 24}) {
        const Layout layout{.dp = dp, .zero = zero, .shard = shard, .bucket_bytes = bucket};
        const Trained trained = train(layout);
        EXPECT_EQ(trained.state, serial().state) << text_of(layout) << " bucket " << bucket;
        EXPECT_EQ(trained.grad_norm, serial().grad_norm) << text_of(layout);
      }
}

TEST(Zero, FastSumsLearnTheSameToRounding) {
  for (const auto& [dp, shard] : {std::pair{1, 0}, {2, 0}, {4, 0}, {4, 2}, {8, 2}})
    for (const int zero : {0, 1, 2, 3}) {
      const Layout layout{.dp = dp, .zero = zero, .shard = shard, .reduce = Reduce::fast};
      const Trained trained = train(layout);
      for (const auto& [name, expected] : serial().state)
        for (std::size_t i = 0; i < expected.size(); ++i)
          ASSERT_NEAR(trained.state.at(name)[i], expected[i], 1e-6)
              << text_of(layout) << ' ' << name << ' ' << i;
    }
}

TEST(Zero, ATiedWeightIsOneWhereverItsStagesAre) {
  EXPECT_EQ(train({}, /*two_stores=*/true).state, serial().state);
  for (const int dp : {1, 2, 4})
    for (const int zero : {0, 1, 2, 3}) {
      const Layout together{.dp = dp, .zero = zero}, apart{.dp = dp, .pp = 2, .zero = zero};
      EXPECT_EQ(train(together, /*two_stores=*/true).state, serial().state) << text_of(together);
      EXPECT_EQ(train(apart).state, serial().state) << text_of(apart);
      EXPECT_EQ(train(apart).grad_norm, serial().grad_norm) << text_of(apart);
    }
}

TEST(Zero, AnyLayoutGoesOnFromAnyOther) {
  WholeTensors one;
  one.values = serial().state;
  const Trained expected = train({}, false, &one);
  for (const Layout& layout : {Layout{.dp = 4, .zero = 3}, Layout{.dp = 8, .zero = 2, .shard = 2},
                               Layout{.dp = 2, .pp = 2, .zero = 1}}) {
    EXPECT_EQ(train(layout, false, &one).state, expected.state) << text_of(layout);
    WholeTensors many;
    many.values = train(layout).state;
    EXPECT_EQ(train({}, false, &many).state, expected.state) << text_of(layout);
  }
}

// Bytes that a rank's store asks for, by owner, and the arena of a step.
struct Memory {
  std::array<std::size_t, kNumOwners> lasting{};
  std::size_t arena = 0;

  std::size_t of(Owner owner) const { return lasting[static_cast<std::size_t>(owner)]; }
};
Memory rehearsed(const Layout& layout) {
  Trace trace;
  Memory memory;
  {
    const Device meta = Device::meta(trace);
    const Mesh mesh =
        Mesh::over(meta_group(trace, 0, layout.mesh().size(), "world"), layout.mesh());
    Stages stages(layout, mesh, meta, false);
    bool in_program = false;
    stages.step(0);
    for (const TraceEvent& event : trace.events) {
      if (const auto* program = std::get_if<ProgramEvent>(&event)) in_program = program->begin;
      const auto* e = std::get_if<AllocEvent>(&event);
      if (e && !in_program) memory.lasting[static_cast<std::size_t>(e->owner)] += e->bytes;
    }
    memory.arena = plan_memory(trace).bytes;
  }
  return memory;
}

// With s = 8 ranks that shard n elements, and t of a twin that has but a gradient of its own.
TEST(Zero, MemoryShrinksAsThePaperHasIt) {
  const std::size_t scalars = 67 * 8 + 6 * 8;  // of OptimizerStep
  std::size_t arena = SIZE_MAX;
  Gpt gpt(small_gpt());
  for (const int zero : {0, 1, 2, 3})
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      const Memory memory = rehearsed(
          {.dp = 8, .zero = zero, .reduce = Reduce::fast, .bucket_bytes = 64, .dtype = dtype});
      std::size_t n = 0, t = 0;  // padding included
      const auto parts = parameters_by_part(gpt);
      for (const BucketPlan& bucket :
           plan_buckets(parts, {.bytes = 64, .element = 4, .by_part = zero == 3, .copies = 8}, {})
               .buckets)
        (bucket.main < 0 ? n : t) += static_cast<std::size_t>(bucket.size);
      EXPECT_GE(n, num_parameters(small_gpt()));
      const std::size_t width = size_of(dtype), master = is_half(dtype) ? 4 : 0;
      EXPECT_EQ(memory.of(Owner::weights), width * n / (zero < 3 ? 1 : 8)) << zero << dtype;
      EXPECT_EQ(memory.of(Owner::gradients), 4 * (n + t) / (zero < 2 ? 1 : 8)) << zero << dtype;
      EXPECT_EQ(memory.of(Owner::optimizer), (8 + master) * n / (zero < 1 ? 1 : 8) + scalars)
          << zero << dtype;
      if (is_half(dtype)) continue;
      EXPECT_LT(memory.arena, arena) << zero;
      arena = memory.arena;
    }
}

}  // namespace
}  // namespace fusor
