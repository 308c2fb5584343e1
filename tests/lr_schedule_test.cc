#include "launch/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fusor {
namespace {

OptimizerConfig schedule(Decay decay, std::int64_t warmup) {
  return {.lr = 1.0, .min_lr = 0.25, .schedule = decay, .warmup_steps = warmup};
}

TEST(LrSchedule, WarmsUpInEqualSteps) {
  for (const Decay decay : {Decay::constant, Decay::linear, Decay::cosine}) {
    const OptimizerConfig o = schedule(decay, 4);
    EXPECT_DOUBLE_EQ(lr_at(0, 12, o), 0.25);
    EXPECT_DOUBLE_EQ(lr_at(1, 12, o), 0.5);
    EXPECT_DOUBLE_EQ(lr_at(3, 12, o), 1);
    EXPECT_DOUBLE_EQ(lr_at(4, 12, o), 1);
  }
}

TEST(LrSchedule, DecaysToItsEnd) {
  EXPECT_EQ(lr_at(12, 12, schedule(Decay::constant, 4)), 1);
  EXPECT_DOUBLE_EQ(lr_at(6, 12, schedule(Decay::linear, 4)), 0.8125);
  EXPECT_EQ(lr_at(12, 12, schedule(Decay::linear, 4)), 0.25);
  EXPECT_DOUBLE_EQ(lr_at(8, 12, schedule(Decay::cosine, 4)), 0.625);
  EXPECT_DOUBLE_EQ(lr_at(6, 12, schedule(Decay::cosine, 4)), 0.25 + 0.375 * (1 + std::sqrt(0.5)));
  EXPECT_EQ(lr_at(12, 12, schedule(Decay::cosine, 4)), 0.25);
}

TEST(LrSchedule, StaysAtItsEnd) {
  EXPECT_EQ(lr_at(40, 12, schedule(Decay::linear, 4)), 0.25);
  EXPECT_EQ(lr_at(40, 12, schedule(Decay::cosine, 0)), 0.25);
}

TEST(LrSchedule, ARunOfNothingButWarmUp) {
  EXPECT_DOUBLE_EQ(lr_at(3, 4, schedule(Decay::cosine, 4)), 1);
  EXPECT_DOUBLE_EQ(lr_at(4, 4, schedule(Decay::cosine, 4)), 1);
}

}  // namespace
}  // namespace fusor
