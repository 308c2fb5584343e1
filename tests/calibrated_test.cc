// The machine at hand as a cluster file, and plans of runs on it.
#include "launch/cluster_file.h"
#include "tests/runs.h"

namespace fusor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Calibrated : public Runs {};

TEST_F(Calibrated, AMachineIsAClusterThatRunsArePlannedOn) {
  fusor("bench --calibrate here.ini", 2);
  const Cluster here = read_cluster(folder_ / "here.ini");
  EXPECT_EQ(here.ranks_per_node, 2);
  EXPECT_GT(here.inside.latency, 0);
  EXPECT_GT(here.peak_f32, here.peak_f64);
  EXPECT_EQ(here.launch, 0);
  const std::string plan =
      fusor("plan tiny.ini -N 2 --parallel.pp=2 --cluster here.ini --trace step.json");
  EXPECT_THAT(plan, AllOf(HasSubstr("fits: "), HasSubstr("2 ranks, 2 that differ"),
                          HasSubstr("bubble of the pipeline"), HasSubstr("recv over pp, exposed"),
                          HasSubstr("timeline: step.json")));
  EXPECT_TRUE(fs::exists(folder_ / "step.json"));
}

TEST_F(Calibrated, MistakesAreOneSentence) {
  EXPECT_THAT(sentence(on(1, "bench")), HasSubstr("--calibrate"));
  EXPECT_THAT(sentence(on(1, "bench --calibrate no/here.ini")), HasSubstr("no/here.ini"));
  EXPECT_THAT(sentence(on(1, "plan tiny.ini --search")),
              HasSubstr("--search and --trace need --cluster FILE"));
  EXPECT_THAT(sentence(on(1, "plan tiny.ini --cluster no.ini")),
              HasSubstr("no.ini: No such file or directory"));
}

}  // namespace
}  // namespace fusor
