// What a run was told by its rehearsal, and what it then took.
#include "tests/runs.h"

namespace fusor {
namespace {

// The whole number after `before`.
std::size_t number_after(const std::string& text, const std::string& before) {
  const std::size_t at = text.find(before);
  EXPECT_NE(at, text.npos) << before << "\n" << text;
  return at == text.npos ? 0 : std::stoull(text.substr(at + before.size()));
}

TEST_F(Runs, TakeThePlannedMemoryToTheByte) {
  for (const int ranks : {1, 2})
    for (const std::string reduce : {"exact", "fast"})
      for (const std::string dtype : {"f32", "bf16", "f16"}) {
        const std::string how =
            " --train.eval_every=3 --train.sample_every=3 --train.steps=6"
            " --parallel.reduce=" +
            reduce + " --train.dtype=" + dtype;
        const std::string plan = fusor("plan tiny.ini -np " + std::to_string(ranks) + how);
        const std::size_t planned = number_after(plan, "peak per rank: ");
        const std::string run = reduce + dtype + std::to_string(ranks);
        const std::string output = fusor(train(run, how), ranks);
        EXPECT_EQ(number_after(output, "arena peak "), planned) << run;
        EXPECT_EQ(number_after(output, "bytes, planned "), planned) << run;
      }
}

TEST_F(Runs, ThatSplitTheirStateTakeThePlannedMemory) {
  int number = 0;
  for (const std::string reduce : {"exact", "fast"})
    for (const std::string split : {"1", "2", "3", "3 --parallel.shard=2"})
      for (const std::string micro : {"1", "2"}) {
        const std::string how =
            " --train.eval_every=3 --train.steps=6 --train.micro_batch=" + micro +
            " --parallel.reduce=" + reduce + " --parallel.zero=" + split;
        const std::size_t planned =
            number_after(fusor("plan tiny.ini -np 4" + how), "peak per rank: ");
        const std::string run = "run" + std::to_string(number++);
        const std::string output = fusor(train(run, how), 4);
        EXPECT_EQ(number_after(output, "arena peak "), planned) << how;
      }
}

TEST_F(Runs, OfAnyLayoutTakeThePlannedMemory) {
  const std::vector<std::pair<int, std::string>> layouts{
      {4, "--parallel.tp=2 --parallel.pp=2"},
      {4, "--parallel.pp=2 --parallel.zero=3 --parallel.recompute=full"},
      {2, "--parallel.pp=2 --parallel.schedule=zb_v --parallel.stages=2 --train.dtype=bf16"},
      {2, "--parallel.pp=2 --parallel.schedule=gpipe --parallel.reduce=fast"},
      {4, "--parallel.tp=2 --parallel.cp=2 --parallel.sequence=true --parallel.reduce=fast"},
      {4, "--model.experts=4 --parallel.ep=2 --parallel.zero=2 --parallel.recompute=selective"},
      {2, "--train.global_batch=12"},  // rank 1 keeps a partial sum more
  };
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const auto& [ranks, layout] = layouts[i];
    const std::string how = " --train.eval_every=3 --train.steps=6 " + layout,
                      plan = fusor("plan tiny.ini -np " + std::to_string(ranks) + how),
                      output = fusor(train("run" + std::to_string(i), how), ranks);
    const std::size_t planned = number_after(plan, "peak per rank: ");
    EXPECT_EQ(number_after(output, "arena peak "), planned) << layout;
    EXPECT_EQ(number_after(output, "bytes, planned "), planned) << layout;
    EXPECT_EQ(number_after(output, "of rank "), number_after(plan, "\nrank ")) << layout;
  }
}

}  // namespace
}  // namespace fusor
