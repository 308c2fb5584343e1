#include "runtime/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "runtime/random.h"
#include "runtime/tensor.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

// A run of one program: tensors of random sizes that live for random times.
void random_program(const Device& device, std::uint64_t seed) {
  const Tensor weights({1000}, DType::f32, device);
  const RandomKey key = random_key(seed, "lifetimes");
  const Program program(device, "step");
  std::vector<Tensor> alive;
  for (std::uint64_t i = 0; i < 300; ++i) {
    if (random_bits(key, 2 * i) % 3 == 0 && !alive.empty())
      alive.erase(alive.begin() + random_bits(key, 2 * i + 1) % alive.size());
    else
      alive.emplace_back(Shape{random_bits(key, 2 * i + 1) % 5000}, DType::f32, device);
  }
}

MemoryPlan rehearsed(const std::function<void(const Device&)>& run) {
  Trace trace;
  run(Device::meta(trace));
  return plan_memory(trace);
}

TEST(MemoryPlan, LiveTensorsNeverOverlapAndThePeakIsReached) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const MemoryPlan plan = rehearsed([&](const Device& d) { random_program(d, seed); });
    const Device arena = Device::arena(plan);
    // Each tensor is filled with its own number at birth; a neighbour that overlaps would show.
    const Tensor weights({1000}, DType::f32, arena);
    const RandomKey key = random_key(seed, "lifetimes");
    const Program program(arena, "step");
    std::vector<std::pair<float, Tensor>> alive;
    for (std::uint64_t i = 0; i < 300; ++i) {
      if (random_bits(key, 2 * i) % 3 == 0 && !alive.empty()) {
        alive.erase(alive.begin() + random_bits(key, 2 * i + 1) % alive.size());
      } else {
        alive.emplace_back(static_cast<float>(i),
                           Tensor({random_bits(key, 2 * i + 1) % 5000}, DType::f32, arena));
        std::ranges::fill(alive.back().second.host<float>(), alive.back().first);
      }
      for (const auto& [number, tensor] : alive)
        ASSERT_TRUE(std::ranges::all_of(tensor.host<float>(), [&](float x) { return x == number; }))
            << "seed " << seed << " event " << i;
    }
    EXPECT_EQ(arena.high_water(), plan.bytes);
  }
}

TEST(MemoryPlan, ProgramsShareSpaceAboveWhatPersists) {
  const MemoryPlan plan = rehearsed([](const Device& d) {
    const Tensor weights({16}, DType::f32, d);
    {
      const Program p(d, "a");
      const Tensor t({32}, DType::f32, d);
    }
    {
      const Program p(d, "b");
      const Tensor t({64}, DType::f32, d);
    }
  });
  EXPECT_EQ(plan.bytes, 64 + 256);
  EXPECT_EQ(plan.programs.at(0).slots.at(0).offset, 64);
  EXPECT_EQ(plan.programs.at(1).slots.at(0).offset, 64);
}

// The second run of a program may free in another order than the first.
TEST(MemoryPlan, ASlotIsFreeOnlyWhereEveryRunHasFreedIt) {
  const auto run = [](const Device& d, bool early) {
    const Program p(d, "step");
    Tensor first({16}, DType::f32, d);
    if (d.kind() == DeviceKind::cpu) std::ranges::fill(first.host<float>(), 1.0f);
    const Tensor kept = early ? Tensor() : first;
    first = {};
    const Tensor second({16}, DType::f32, d);
    if (early || d.kind() != DeviceKind::cpu) return;
    std::ranges::fill(second.host<float>(), 2.0f);
    EXPECT_EQ(kept.host<float>()[0], 1.0f);
  };
  const MemoryPlan plan = rehearsed([&](const Device& d) { run(d, true), run(d, false); });
  EXPECT_EQ(plan.bytes, 128);
  const Device arena = Device::arena(plan);
  run(arena, true), run(arena, false);
}

TEST(MemoryPlan, ARunThatDepartsFromItsRehearsalStopsWithTheLayersName) {
  const auto run = [](const Device& d, std::int64_t n, int times) {
    const Program program(d, "step");
    const Scope layer(d, "block.3");
    for (int i = 0; i < times; ++i) const Tensor t({n}, DType::f32, d);
  };
  const MemoryPlan plan = rehearsed([&](const Device& d) { run(d, 8, 2); });
  const Device arena = Device::arena(plan);
  run(arena, 8, 2);
  EXPECT_THAT(thrown_by([&] { run(Device::arena(plan), 9, 2); }),
              HasSubstr("block.3 asks for 36 bytes where the rehearsal of 'step' planned 32"));
  EXPECT_THAT(thrown_by([&] { run(Device::arena(plan), 8, 3); }), HasSubstr("did not plan"));
  EXPECT_THAT(thrown_by([&] { run(Device::arena(plan), 8, 1); }),
              HasSubstr("planned 2 allocations but made 1"));
  EXPECT_THAT(thrown_by([&] { const Program p(Device::arena(plan), "other"); }),
              HasSubstr("'other' was never rehearsed"));
}

// A stage of a pipeline with three micro-batches in flight: F leaves activations, B frees them and
// leaves a gradient that is freed before the next B. Micro-batches after the first repeat it.
void stage(const Device& d, int micros, bool repeat) {
  std::vector<Tensor> activations(static_cast<std::size_t>(micros)), sent(activations);
  const auto again = [&](int micro) { return repeat && micro > 0; };
  const auto forward = [&](int i) {
    if (again(i)) return d.backend().program_again("F", i);
    const Program program(d, "F", i);
    const Tensor temporary({500}, DType::f32, d);
    Tensor& kept = activations[static_cast<std::size_t>(i)] = Tensor({100}, DType::f32, d);
    if (d.kind() == DeviceKind::cpu) std::ranges::fill(kept.host<float>(), static_cast<float>(i));
  };
  const auto release = [&](int i) {
    if (again(i)) return d.backend().program_again("sent", i);
    const Program program(d, "sent", i);
    sent[static_cast<std::size_t>(i)] = {};
  };
  const auto backward = [&](int i) {
    if (i > 0) release(i - 1);
    if (again(i)) return d.backend().program_again("B", i);
    const Program program(d, "B", i);
    const Tensor temporary({700}, DType::f32, d);
    sent[static_cast<std::size_t>(i)] = Tensor({30}, DType::f32, d);
    Tensor& kept = activations[static_cast<std::size_t>(i)];
    if (d.kind() == DeviceKind::cpu) {
      ASSERT_TRUE(std::ranges::all_of(kept.host<float>(), [&](float x) { return x == i; }));
    }
    kept = {};
  };
  for (int i = 0; i < micros + 2; ++i) {
    if (i < micros) forward(i);
    if (i >= 2) backward(i - 2);
  }
  release(micros - 1);
}

TEST(MemoryPlan, WhatMicroBatchesCarryLiesInLanes) {
  const MemoryPlan plan = rehearsed([](const Device& d) { stage(d, 8, true); });
  EXPECT_EQ(plan.programs.at(0).lanes, 3);
  EXPECT_EQ(plan.programs.at(0).lane_bytes, 448);
  EXPECT_EQ(plan.bytes, 3 * 448 + 128 + 4 * 700);
  EXPECT_EQ(plan.bytes, rehearsed([](const Device& d) { stage(d, 8, false); }).bytes);
  const Device arena = Device::arena(plan);
  for (int step = 0; step < 2; ++step) stage(arena, 8, false);
  EXPECT_EQ(arena.high_water(), plan.bytes);
}

TEST(MemoryPlan, DroppedBytesAreForOthersUntilTheyAreRefilled) {
  const auto run = [](const Device& d) {
    const Tensor weights = Tensor::dropped({64}, DType::f32, d), half = weights.rows(0, 32);
    const Program program(d, "step");
    for (int pass = 0; pass < 2; ++pass) {
      weights.refill();
      if (d.kind() == DeviceKind::cpu) {
        std::ranges::fill(weights.host<float>(), static_cast<float>(pass));
        EXPECT_EQ(half.host<float>()[31], pass);
      }
      weights.drop();
      const Tensor other({64}, DType::f32, d);
      if (d.kind() == DeviceKind::cpu) {
        EXPECT_THAT(thrown_by([&] { half.raw(); }), HasSubstr("no bytes"));
      }
    }
    EXPECT_THAT(thrown_by([&] { weights.drop(); }), HasSubstr("without bytes was dropped"));
  };
  const MemoryPlan plan = rehearsed(run);
  EXPECT_EQ(plan.bytes, 256);
  run(Device::arena(plan));
  run(Device::heap());
}

TEST(MemoryPlan, RefusesAProgramThatLeaksOrDoesNotRepeat) {
  EXPECT_THAT(thrown_by([] {
                rehearsed([](const Device& d) {
                  Tensor kept;
                  const Program program(d, "step");
                  kept = Tensor({8}, DType::f32, d);
                });
              }),
              HasSubstr("'step' leaves behind 32 bytes"));
  EXPECT_THAT(thrown_by([] {
                rehearsed([](const Device& d) {
                  for (const std::int64_t n : {8, 9}) {
                    const Program program(d, "step");
                    const Tensor t({n}, DType::f32, d);
                  }
                });
              }),
              HasSubstr("'step' does not repeat"));
}

}  // namespace
}  // namespace fusor
