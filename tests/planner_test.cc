// The cost model against measured training steps.
#include <gtest/gtest.h>

#include <cstdlib>

#include "benchmarks/measured_runs.h"
#include "benchmarks/megatron_step.h"
#include "launch/cluster_file.h"
#include "parallel/simulator.h"

namespace fusor::benchmark {
namespace {

CostModel a100() { return {read_cluster(FUSOR_CLUSTERS "/a100-node.ini"), DType::bf16}; }

// Published with the vTrain simulator, of model shapes on which nothing was fitted.
TEST(Planner, MeasuredStepsOfANode) {
  const char* folder = std::getenv("FUSOR_PLANNER_DATA");
  if (!folder) GTEST_SKIP() << "FUSOR_PLANNER_DATA does not name the folder of measurements";
  const std::filesystem::path file = std::filesystem::path(folder) / "a100-node-validate.csv";
  const Errors errors = errors_of(predict(file, a100()));
  EXPECT_LE(errors.mean_absolute, 0.09);
  EXPECT_LE(std::abs(errors.bias), 0.05);
}

struct Published {
  const char* name;
  MegatronRun run;
  double full, selective;  // seconds of a step, by what is recomputed
};

// Korthikanti et al., https://arxiv.org/abs/2205.05198, table 5: 8 to 512 A100s on nodes of 8,
// to which no number was fitted.
TEST(Planner, PublishedStepsOfManyNodes) {
  const Published all[] = {{"22B", {4, 4, 6144, 64, 48, 2048, 8, 1, 1, 1}, 1.42, 1.10},
                           {"175B", {64, 1, 12288, 96, 96, 2048, 8, 1, 8, 3}, 18.13, 13.75},
                           {"530B", {280, 1, 20480, 128, 105, 2048, 8, 1, 35, 3}, 49.05, 37.83},
                           {"1T", {512, 1, 25600, 160, 128, 2048, 8, 1, 64, 1}, 94.42, 71.49}};
  const CostModel model = a100();
  std::vector<Measured> steps;
  for (const Published& p : all)
    for (const bool selective : {false, true}) {
      MegatronRun run = p.run;
      run.selective = selective;
      ClusterClock clock(model);
      steps.push_back({selective ? p.selective : p.full, play(megatron_step(run), &clock).seconds});
      EXPECT_NEAR(steps.back().predicted / steps.back().measured, 1, 0.09)
          << p.name << (selective ? " selective" : " full");
    }
  EXPECT_LE(errors_of(steps).mean_absolute, 0.04);
}

}  // namespace
}  // namespace fusor::benchmark
