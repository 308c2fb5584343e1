// The fusor program as its user meets it: exit status, and one sentence on stderr for a mistake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/spawn.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

class Cli : public ::testing::Test {
 protected:
  // `arguments` are words for the shell, run in the test's own folder.
  Outcome run(const std::string& arguments) const {
    return spawn(FUSOR_PROGRAM " " + arguments, folder_.path());
  }

  // The whole of stderr, which must be one line that ends a run with a status other than 0.
  std::string mistake(const std::string& arguments) const {
    const Outcome outcome = run(arguments + " >/dev/null");
    EXPECT_EQ(outcome.status, 1) << arguments;
    EXPECT_EQ(std::ranges::count(outcome.output, '\n'), 1) << outcome.output;
    return outcome.output;
  }

  void write_recipe(const std::string& text) const { std::ofstream(dir_ / "tiny.ini") << text; }

  TemporaryFolder folder_;
  const std::filesystem::path dir_ = folder_.path();
};

TEST_F(Cli, HelpAndVersion) {
  for (const char* arguments : {"", "--help", "-h", "help"}) {
    const Outcome help = run(arguments);
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.output, HasSubstr("usage: fusor COMMAND"));
    EXPECT_EQ(run(arguments + std::string(" >/dev/null")).output, "");
  }
  EXPECT_EQ(run("--version").output, "fusor " FUSOR_VERSION "\n");
}

TEST_F(Cli, UnknownCommandsNameTheNearest) {
  EXPECT_EQ(mistake("zebra"), "fusor: unknown command \"zebra\", fusor --help lists them all\n");
}

constexpr const char* kTinyRecipe =
    "[model]\npreset = llama-tiny\nlayers = 1\nwidth = 16\nheads = 2\nkv_heads = 2\n"
    "mlp_hidden = 32\n[data]\npath = text\nseq_len = 16\n"
    "[train]\nsteps = 2\nglobal_batch = 4\nmicro_batch = 2\n";

class BadInput : public Cli {
 protected:
  BadInput() {
    std::ofstream text(dir_ / "text.txt");
    for (int i = 0; i < 100; ++i) text << "line " << i << " of a text\n\n";
    text.close();
    write_recipe(kTinyRecipe);
    EXPECT_EQ(run("data text --input text.txt --output text").status, 0);
  }
};

struct Mistake {
  std::string arguments, sentence;
};

TEST_F(BadInput, TrainingIsToldInOneSentence) {
  const std::string usage = ", usage: fusor train RECIPE.ini [--section.key=value ...]";
  const std::vector<Mistake> rows{
      {"", "fusor train: no recipe given" + usage},
      {"none.ini", "recipe none.ini: No such file or directory"},
      {"text", "text: is a folder, not a recipe"},
      {"tiny.ini tiny.ini", "fusor train: too many arguments, see fusor train --help"},
      {"tiny.ini --train.step=3",
       "fusor train: unknown option \"--train.step\", did you mean \"--train.steps\"?"},
      {"tiny.ini --train.steps=ten", "command line: train.steps = ten is not a whole number"},
      {"tiny.ini --optimizer.lr=-1", "command line: optimizer.lr = -1 must be at least 0"},
      {"tiny.ini --data.prefetch=1",
       "command line: data.prefetch = 1 must be at least 2 and below 1048576"},
      {"tiny.ini --parallel.reduce=slow",
       "command line: parallel.reduce = slow is not one of fast|exact"},
      {"tiny.ini --model.heads=3", "tiny.ini: model.heads 3 does not divide model.width 16"},
      {"tiny.ini --data.seq_len=65", "tiny.ini: data.seq_len 65 is longer than model.seq_len 64"},
      {"tiny.ini --train.global_batch=7",
       "train.global_batch 7 is not a multiple of micro 2 x dp 1 = 2, the nearest that are: 6 and "
       "8"},
      {"tiny.ini --data.path=none", "there is no dataset folder none"},
      {"tiny.ini --model.vocab_size=255", "text has 256 token ids but model.vocab_size is 255"},
      {"tiny.ini --model.vocab_size=100 --train.sample_every=1 --train.sample_prompt=oh",
       "train.sample_prompt holds the byte 111 but model.vocab_size is 100"},
      {"tiny.ini --checkpoint.resume=must",
       "runs/tiny/checkpoints holds no checkpoint and checkpoint.resume is must"},
  };
  for (const Mistake& row : rows)
    EXPECT_EQ(mistake("train " + row.arguments), "fusor: " + row.sentence + "\n");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "runs"));
}

TEST_F(BadInput, APlanIsOfARanksThreads) {
  const auto peak = [&](const std::string& arguments) {
    const std::string plan = run("plan tiny.ini --parallel.reduce=exact " + arguments).output;
    EXPECT_THAT(plan, HasSubstr("peak per rank: "));
    return plan.substr(plan.find("peak per rank: "), 40);
  };
  EXPECT_NE(peak("--parallel.threads=1"), peak("--parallel.threads=3"));
  const std::string two = "-np 2 --train.global_batch=12";
  EXPECT_NE(peak(two + " --rank 0"), peak(two + " --rank 1"));
  EXPECT_EQ(peak(two), peak(two + " --rank 1"));  // the fullest
  EXPECT_EQ(mistake("plan tiny.ini -np 2 --rank 2"),
            "fusor: fusor plan: there is no rank 2 of 2\n");
}

TEST_F(BadInput, LayoutsAreVerified) {
  const Outcome outcome =
      run("verify-layout tiny.ini --steps 2 --layouts 'dp=2; tp=2,pp=2,schedule=zb_h1'");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("dp=2                      2"));
  EXPECT_THAT(outcome.output, HasSubstr("same bits\n"));
  EXPECT_THAT(outcome.output, HasSubstr("tp=2,pp=2,schedule=zb_h1  4"));
  EXPECT_THAT(outcome.output, HasSubstr("within rounding\n"));
  write_recipe("[model]\npreset = llama-tiny\nlayers = 1\n");
  EXPECT_THAT(run("verify-layout tiny.ini --ranks 4 --layouts tp=2").output,
              HasSubstr("random tokens"));
}

TEST_F(BadInput, ALayoutIsToldInOneSentence) {
  const std::vector<Mistake> rows{
      {"", "fusor verify-layout: no --layouts given, for example --layouts \"dp=2; tp=2,pp=2\""},
      {"--layouts ';'", "no layout is given, for example \"dp=2; tp=2,pp=2\""},
      {"--layouts dp=2 --steps 0", "fusor verify-layout: --steps must be 1 or more, not 0"},
      {"--layouts dp=2 --ranks 2000", "fusor verify-layout: --ranks must be 0 to 1024, not 2000"},
      {"--layouts dq=2",
       "layout \"dq=2\": unknown key \"parallel.dq\", did you mean "
       "\"parallel.dp\"?"},
      {"--layouts dp=1025",
       "layout \"dp=1025\" takes 1025 ranks, but one process runs at most 1024"},
      {"--layouts dp=3",
       "layout \"dp=3\": train.global_batch 4 is not a multiple of dp 3, the "
       "nearest that are: 3 and 6"},
      {"--layouts 'dp=2; pp=4'",
       "layout \"pp=4\": parallel.pp 4 x parallel.stages 1 is 4 stages, but the model has 3 parts "
       "(the embedding, each block, the head), the nearest that works: parallel.pp 3"},
  };
  for (const Mistake& row : rows)
    EXPECT_EQ(mistake("verify-layout tiny.ini " + row.arguments), "fusor: " + row.sentence + "\n");
}

TEST_F(BadInput, ARecipeIsToldInOneSentence) {
  const std::vector<Mistake> rows{
      // lines at the end of a recipe, in [train]
      {"seeed = 1", "unknown key \"train.seeed\", did you mean \"train.seed\"?"},
      {"seed = 1.5", "train.seed = 1.5 is not a whole number"},
      {"steps = 3", "train.steps is given twice"},
      {"[model]\nbias = maybe", "model.bias = maybe is not true or false"},
  };
  for (const Mistake& row : rows) {
    write_recipe(kTinyRecipe + row.arguments + "\n");
    EXPECT_EQ(mistake("train tiny.ini"), "fusor: tiny.ini: " + row.sentence + "\n");
  }
}

TEST_F(BadInput, ATrainedModelIsToldInOneSentence) {
  const std::string usage = " [RECIPE.ini] --from PATH [OPTIONS]";
  const std::vector<Mistake> without_run{
      {"generate", "fusor generate: no checkpoint given, usage: fusor generate" + usage},
      {"eval", "fusor eval: no checkpoint given, usage: fusor eval" + usage},
      {"eval --from none", "there is no folder none"},
      {"eval tiny.ini", "there is no folder runs/tiny"},
  };
  for (const Mistake& row : without_run)
    EXPECT_EQ(mistake(row.arguments), "fusor: " + row.sentence + "\n");

  const Outcome trained = run("train tiny.ini --model.vocab_size=300");
  ASSERT_EQ(trained.status, 0) << trained.output;
  const std::string newest = "runs/tiny/checkpoints/step-00000002";
  const std::vector<Mistake> with_run{
      {"eval tiny.ini", "model.vocab_size = 256 cannot go on from " + newest +
                            ", which was trained with model.vocab_size = 300"},
      {"eval --from runs/tiny --data none", "there is no dataset folder none"},
      {"eval --from runs/tiny --split test", "text has no split 'test'; it has train, val"},
      {"eval --from runs/tiny --batches=-1", "fusor eval: --batches must be 0 or more, not -1"},
      {"generate --from runs/tiny --tokens 0", "fusor generate: --tokens must be 1 or more, not 0"},
      {"generate --from runs/tiny --top-p 0", "top-p is 0, but must be above 0 and at most 1"},
      {"generate --from runs/tiny --dtype f8",
       "fusor generate: --dtype f8 is not one of f64|f32|bf16|f16"},
      {"train tiny.ini --model.vocab_size=300 --checkpoint.resume=never",
       "runs/tiny/checkpoints holds checkpoints of an earlier run and checkpoint.resume is never: "
       "set log.dir to another folder"},
  };
  for (const Mistake& row : with_run)
    EXPECT_EQ(mistake(row.arguments), "fusor: " + row.sentence + "\n");
  std::filesystem::resize_file(dir_ / newest / "manifest.json", 100);
  EXPECT_THAT(mistake("eval --from runs/tiny"), HasSubstr(newest + "/manifest.json"));
}

}  // namespace
}  // namespace fusor
