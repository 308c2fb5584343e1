#include "tests/layouts_of_task.h"

#include <gtest/gtest.h>

#include <cmath>

#include "launch/layout_text.h"
#include "launch/rehearsal.h"

namespace fusor::layouts_of_task {

Config config_of(Config config, const std::string& layout) {
  config.parallel = parse_layout(layout, config.parallel);
  return resolve(config);
}

TrialOutcome train(const std::shared_ptr<const Task>& task, const Config& config,
                   std::int64_t steps, Peak peak) {
  const auto ranks = static_cast<int>(ranks_of(config.parallel));
  const auto planned = std::make_shared<std::vector<std::size_t>>(ranks);
  return run_trial({.config = config,
                    .ranks = ranks,
                    .steps = steps,
                    .task = task,
                    .make_device =
                        [=](const RunSize& size, int rank) {
                          const MemoryPlan plan = rehearse(*task, config, size, rank).memory;
                          planned->at(static_cast<std::size_t>(rank)) = plan.bytes;
                          return Device::arena(plan);
                        },
                    .end =
                        [=](const Trainer& trainer, const World& world) {
                          const std::size_t reached = trainer.device().high_water(),
                                            plan =
                                                planned->at(static_cast<std::size_t>(world.rank()));
                          EXPECT_LE(reached, plan) << "rank " << world.rank();
                          EXPECT_TRUE(peak == Peak::at_most_planned || reached == plan)
                              << "rank " << world.rank() << " reached " << reached << " of "
                              << plan;
                        }});
}

void expect_same_bits(const TrialOutcome& many, const TrialOutcome& one) {
  EXPECT_EQ(many.losses, one.losses);
  EXPECT_EQ(many.grad_norms, one.grad_norms);
  const TrialDifference d = difference(many, one);
  EXPECT_TRUE(d.same_bits) << d.parameter << " by " << d.gradient;
  ASSERT_EQ(many.state.size(), one.state.size());
  for (const auto& [name, want] : one.state) {
    const Tensor& got = many.state.at(name);
    EXPECT_TRUE(std::equal(want.raw(), want.raw() + want.bytes(), got.raw())) << name;
  }
}

void expect_near(const TrialOutcome& many, const TrialOutcome& one, double within) {
  ASSERT_EQ(many.losses.size(), one.losses.size());
  for (std::size_t i = 0; i < one.losses.size(); ++i) {
    EXPECT_NEAR(many.losses[i], one.losses[i], within * std::abs(one.losses[i])) << "step " << i;
    EXPECT_NEAR(many.grad_norms[i], one.grad_norms[i], within * one.grad_norms[i]) << "step " << i;
  }
  const TrialDifference d = difference(many, one);
  EXPECT_LE(d.gradient, within) << d.parameter;
}

}  // namespace fusor::layouts_of_task
