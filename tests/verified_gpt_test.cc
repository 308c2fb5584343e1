// GPTs rehearsed on every rank of a mesh pass the verifier, and no breakage of them does.
#include <gtest/gtest.h>

#include "parallel/verifier.h"
#include "tests/breakages.h"
#include "tests/gpt_on_mesh.h"

namespace fusor::testing {
namespace {

using namespace gpt_on_mesh;

Job job_of(const GptConfig& config, const MeshShape& shape, bool sequence) {
  Job job{.scripts = {}, .script_of_rank = {}, .communicators = communicators_of(shape)};
  for (int rank = 0; rank < shape.size(); ++rank) {
    Trace trace;
    const Device device = Device::meta(trace);
    const Mesh mesh = Mesh::over(meta_group(trace, rank, shape.size(), "world"), shape, sequence);
    Gpt gpt(config, mesh);
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f32, device);
    train(gpt, mesh, device);
    job.script_of_rank.push_back(rank);
    job.scripts.push_back(script_of(trace));
  }
  return job;
}

struct Case {
  const char* name;
  GptConfig config;
  MeshShape shape;
  bool sequence;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"tp2", classic(), {.tp = 2}, false},
      {"tp4_sequence", modern(), {.tp = 4}, true},
      {"cp4", modern(), {.cp = 4}, false},
      {"dp2_ep2", sparse(), {.dp = 2, .ep = 2}, false},
      {"dp2_ep2_cp2_tp2_sequence", sparse(), {.dp = 2, .tp = 2, .cp = 2, .ep = 2}, true},
  };
  return all;
}

TEST(VerifiedGpt, RehearsalsPass) {
  for (const auto& [name, config, shape, sequence] : cases()) {
    SCOPED_TRACE(name);
    const Job job = job_of(config, shape, sequence);
    EXPECT_EQ(failure_of(job), "");
    EXPECT_LE(verify(job).colors, 4);
  }
}

TEST(VerifiedGpt, BreakagesAreCaught) {
  int broken = 0;
  for (const auto& [name, config, shape, sequence] : cases())
    broken += expect_breakages_caught(name, job_of(config, shape, sequence), 8);
  EXPECT_GE(broken, 200);
}

}  // namespace
}  // namespace fusor::testing
