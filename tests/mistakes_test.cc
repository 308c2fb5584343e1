// What a person or a broken file does wrong to a run: one sentence, though every rank meets it, a
// status that is not zero, and nothing lost of what was there.
#include "runtime/host_memory.h"
#include "tests/runs.h"

namespace fusor {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

void replace_in(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = text_of(file);
  const std::size_t at = text.find(from);
  ASSERT_NE(at, text.npos) << from << " is not in " << file;
  std::ofstream(file, std::ios::binary) << text.replace(at, from.size(), to);
}

void flip_byte(const fs::path& file, std::size_t at) {
  std::string bytes = text_of(file);
  bytes.at(at) ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
}

void cut(const fs::path& file, std::uintmax_t bytes) {
  fs::resize_file(file, fs::file_size(file) - bytes);
}

class Mistakes : public Runs {
 protected:
  // Every file below a folder, with its bytes.
  std::map<std::string, std::string> files_in(const std::string& folder) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / folder))
      if (entry.is_regular_file()) files[entry.path()] = text_of(entry.path());
    return files;
  }
};

struct Row {
  std::string overrides, sentence;
};

TEST_F(Mistakes, InARecipeAreToldOnceByAllRanks) {
  const std::vector<Row> rows{
      {"--train.stps=3",
       "fusor train: unknown option \"--train.stps\", did you mean \"--train.steps\"?"},
      {"--train.steps=ten", "command line: train.steps = ten is not a whole number"},
      {"--train.global_batch=6",
       "train.global_batch 6 is not a multiple of micro 2 x dp 2 = 4, the nearest that are: 4 and "
       "8"},
      {"--data.path=none", "there is no dataset folder none"},
      {"--model.vocab_size=255", "data has 256 token ids but model.vocab_size is 255"},
      {"--checkpoint.resume=must",
       "run/checkpoints holds no checkpoint and checkpoint.resume is must"},
      {"--checkpoint.resume=none", "there is no folder none"},
      {"--model.width=1000000000000",
       "command line: model.width = 1000000000000 must be at least 1 and below 1048576"},
  };
  for (const Row& row : rows) EXPECT_EQ(mistake(train("run", row.overrides)), row.sentence);
  EXPECT_EQ(mistake("train tiny.ini --log.dir=text"),
            "cannot list text/checkpoints: Not a directory");
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

// Each with the key, its value, and the nearest that works; nothing is left behind.
TEST_F(Mistakes, InALayoutAreToldOnceWithTheNearestThatWorks) {
  const auto sample = [](const std::string& axis, int value, int most) {
    return "tiny.ini: train.sample_every 9 needs the whole model on a rank, which parallel." +
           axis + " " + std::to_string(value) +
           " splits, the nearest that works: train.sample_every 0, or parallel." + axis + " " +
           std::to_string(most);
  };
  const std::string by_cost =
      "parallel.split (by cost it would be \"embed..block.0 | block.1..head\"): ";
  const std::vector<Row> rows{
      {"--parallel.tp=3",
       "the layout needs a multiple of 3 ranks (tp 3 x pp 1 x cp 1), but 2 run, the nearest that "
       "work: 3"},
      {"--parallel.dp=1 --parallel.tp=1",
       "the layout needs 1 ranks (dp 1 x tp 1 x pp 1 x cp 1), but 2 run, the nearest that works: "
       "parallel.dp 2"},
      {"--parallel.tp=2 --model.kv_heads=1",
       "parallel.tp 2 does not divide model.kv_heads 1, the nearest that works: 1"},
      {"--parallel.tp=2 --model.mlp_hidden=81",
       "parallel.tp 2 does not divide model.mlp_hidden 81, the nearest that works: 1"},
      {"--parallel.pp=2 --parallel.stages=3 --parallel.schedule=interleaved",
       "parallel.pp 2 x parallel.stages 3 is 6 stages, but the model has 4 parts (the embedding, "
       "each block, the head), the nearest that works: parallel.pp 1 or parallel.stages 2"},
      {"--parallel.pp=2 --parallel.schedule=interleaved",
       "parallel.schedule interleaved takes parallel.stages 2 or more on each rank, not 1"},
      {"--parallel.pp=2 --parallel.schedule=zb_v",
       "parallel.schedule zb_v takes parallel.stages 2 on each rank, not 1"},
      {"--parallel.pp=2 --parallel.stages=2",
       "parallel.schedule 1f1b takes parallel.stages 1 on each rank, not 2"},
      {"--parallel.pp=2 '--parallel.split=embed..blok.0 | block.1..head'",
       by_cost + "the model has no part \"blok.0\", did you mean \"block.0\"?"},
      {"--parallel.pp=2 --parallel.split=2,1,1",
       by_cost + "the split \"2,1,1\" has 3 stages; the layout has 2"},
      {"--parallel.cp=2 --data.seq_len=22",
       "parallel.cp 2 cuts a sequence into 4 equal chunks, but data.seq_len is 22, the nearest "
       "that "
       "work: 20 and 24"},
      {"--parallel.tp=2 --parallel.sequence=true --data.seq_len=23 --train.micro_batch=1",
       "parallel.sequence splits the rows of a micro-batch (micro 1 x data.seq_len 23 / cp 1 = 23) "
       "evenly over tp 2, the nearest train.micro_batch that works: 2"},
      {"--parallel.ep=2",
       "parallel.ep 2 splits experts, but model.experts is 0, the nearest that works: 1"},
      {"--model.experts=3 --parallel.ep=2",
       "parallel.ep 2 does not divide model.experts 3, the nearest that works: 1 or 3"},
      {"--model.experts=4 --parallel.ep=4",
       "parallel.ep 4 does not divide dp 2, the nearest that works: 2"},
      {"--parallel.zero=1 --parallel.shard=3",
       "parallel.shard 3 does not divide dp 2 x cp 1 = 2, the nearest that works: 2"},
      {"--parallel.zero=4", "command line: parallel.zero = 4 must be at least 0 and below 4"},
      {"--train.sample_every=9 --parallel.tp=2", sample("tp", 2, 1)},
      {"--train.sample_every=9 --parallel.pp=2", sample("pp", 2, 1)},
      {"--train.sample_every=9 --parallel.cp=2", sample("cp", 2, 1)},
      {"--train.sample_every=9 --parallel.ep=2", sample("ep", 2, 1)},
      {"--train.sample_every=9 --parallel.zero=3", sample("zero", 3, 2)},
  };
  for (const Row& row : rows)
    EXPECT_EQ(sentence(on(1, "plan tiny.ini -np 2 " + row.overrides)), row.sentence);
  for (const std::size_t row : {0, 2, 8, 19})
    EXPECT_EQ(mistake(train("run", rows.at(row).overrides)), rows[row].sentence);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Mistakes, OfOneRankEndTheJob) {
  const std::string two = on(2, train("run"));
  const std::size_t program = two.find(FUSOR_PROGRAM);
  // Rank 1 alone has an argument more.
  const auto with = [&](const std::string& argument) {
    return two.substr(0, program) + "sh -c '[ $OMPI_COMM_WORLD_RANK = 0 ] || more=" + argument +
           "; exec " + two.substr(program) + " $more'";
  };
  EXPECT_EQ(sentence(with("--train.steps=ten")),
            "command line: train.steps = ten is not a whole number");
  EXPECT_THAT(sentence(with("--parallel.bucket_mb=0.01")),
              MatchesRegex("ranks 0 and 1 would wait for each other: in line [0-9]+ of their "
                           "plans rank 0 has '[^']+' and rank 1 has '[^']+'"));
  EXPECT_EQ(sentence(with("--train.seed=2")),
            "ranks 0 and 1 have different recipes: train.seed = 1 and train.seed = 2");
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Mistakes, InADatasetAreToldOnce) {
  const fs::path shard = folder_ / "data/train-00000.h5", manifest = folder_ / "data/manifest.json";
  const auto after = [&](auto&& damage) {
    fs::copy(folder_ / "data", folder_ / "whole");
    damage();
    const std::string told_once = mistake(train("run"));
    fs::remove_all(folder_ / "data");
    fs::rename(folder_ / "whole", folder_ / "data");
    return told_once;
  };
  EXPECT_THAT(after([&] { cut(shard, 1); }),
              MatchesRegex("data/train-00000.h5 is truncated: it has [0-9]+ bytes, its manifest "
                           "says [0-9]+"));
  EXPECT_THAT(after([&] { flip_byte(shard, fs::file_size(shard) / 2); }),
              MatchesRegex("data/train-00000.h5 is damaged: its checksum is [0-9a-f]+, its "
                           "manifest says [0-9a-f]+"));
  EXPECT_THAT(after([&] { fs::remove(shard); }), HasSubstr("cannot open data/train-00000.h5"));
  EXPECT_THAT(after([&] { replace_in(manifest, "\"tokens\": 8403", "\"tokens\": 8402"); }),
              Eq("data/train-00000.h5 holds 8403 tokens, its manifest says 8402"));
  EXPECT_THAT(after([&] { replace_in(manifest, "\"documents\": 357", "\"documents\": 358"); }),
              Eq("data/train-00000.h5 holds 357 documents, its manifest says 358"));
  EXPECT_THAT(after([&] { replace_in(manifest, "\"tokens\": ", "\"tokens\": -"); }),
              HasSubstr("data/manifest.json"));
  EXPECT_THAT(after([&] { cut(manifest, 100); }), HasSubstr("data/manifest.json"));
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

// A manifest that lies about the vocabulary: the first rank that reads the token throws, while the
// other waits for it in a sum.
TEST_F(Mistakes, InATokenEndTheJobInTheMiddle) {
  std::ofstream(folder_ / "text", std::ios::app) << "one ~ in the whole text\n\n";
  fusor("data text --input text --output once");
  ASSERT_NE(text_of(folder_ / "once/train-00000.h5").find('~'), std::string::npos);
  replace_in(folder_ / "once/manifest.json", "\"vocab_size\": 256", "\"vocab_size\": 126");
  EXPECT_EQ(mistake(train("run", "--data.path=once --train.steps=100")),
            "once/train-00000.h5 holds token id 126, outside the vocabulary of 126");
  EXPECT_GT(metrics("run").size(), 0u);
}

TEST_F(Mistakes, InACheckpointLeaveTheRunAsItWas) {
  const std::string every =
      "--checkpoint.every=10 --checkpoint.keep_last=0 --optimizer.schedule=constant";
  fusor(train("run", every + " --train.steps=20"), 2);
  fusor(train("whole", every), 2);
  const fs::path newest = folder_ / checkpoint("run", 20);
  for (const std::string name : {"manifest.json", "shard-00001-of-00002.safetensors"}) {
    const std::string bytes = text_of(newest / name);
    cut(newest / name, bytes.size() / 3);
    const auto before = files_in("run");
    EXPECT_THAT(mistake(train("run", every)), HasSubstr(checkpoint("run", 20) + '/' + name));
    EXPECT_EQ(files_in("run"), before);
    std::ofstream(newest / name, std::ios::binary) << bytes;
  }
  cut(newest / "manifest.json", 100);
  const std::string older = " --checkpoint.resume=" + checkpoint("run", 10);
  EXPECT_THAT(fusor(train("run", every + " --train.steps=40" + older), 2),
              HasSubstr("resumed from " + checkpoint("run", 10) + " at step 10"));
  EXPECT_EQ(metrics("run"), metrics("whole"));
  EXPECT_EQ(tensors("run", 40), tensors("whole", 40));
}

TEST_F(Mistakes, InAResumedRunLeaveItAsItWas) {
  fusor(train("run", "--checkpoint.every=20"), 2);
  const auto before = files_in("run");
  const std::string newest = checkpoint("run", 40);
  const std::vector<Row> rows{
      {"--model.width=64", "model.width = 64 cannot go on from " + newest +
                               ", which was trained with model.width = 32"},
      {"--train.seed=2",
       "train.seed = 2 cannot go on from " + newest + ", which was trained with train.seed = 1"},
      {"--train.global_batch=4", newest + " has seen 320 samples in 40 steps, which a global batch "
                                          "of 4 cannot go on from"},
      {"--checkpoint.resume=never",
       "run/checkpoints holds checkpoints of an earlier run and checkpoint.resume is never: set "
       "log.dir to another folder"},
  };
  for (const Row& row : rows) EXPECT_EQ(mistake(train("run", row.overrides)), row.sentence);
  EXPECT_EQ(files_in("run"), before);
}

TEST_F(Mistakes, OfAModelBeyondTheMemoryAreRefusedWithTheSizes) {
  const std::string size = "[0-9.]+ (KiB|MiB|GiB|TiB)";
  const std::string where =
      size + " x 2 ranks on host [^ ]+, where " + size +
      " are free: use more hosts, a smaller train.micro_batch or model, or split it "
      "by parallel.zero, tp or pp";
  EXPECT_THAT(mistake(train("run", "--model.width=1000000 --model.mlp_hidden=4000000")),
              MatchesRegex("this run needs more than " + where));
  // Weights that fit, and activations that do not.
  const auto samples = std::to_string(available_host_memory() / (24 * 256 * 4));
  EXPECT_THAT(mistake(train("run", "--train.micro_batch=" + samples +
                                       " --train.accumulation=1 "
                                       "--train.global_batch=0")),
              MatchesRegex("this run needs " + where));
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Mistakes, OfALearningRateLeaveTheOlderCheckpointsWhole) {
  const std::string every = "--checkpoint.every=1 --checkpoint.keep_last=2 --train.steps=";
  fusor(train("run", every + "10"), 2);
  const auto ninth = tensors("run", 9);
  EXPECT_THAT(mistake(train("run", every + "60 --optimizer.lr=1e30 --optimizer.schedule=constant")),
              MatchesRegex("the (loss|gradient norm) of step 1[0-9] is not finite: lower "
                           "optimizer.lr, or resume from an earlier checkpoint"));
  EXPECT_EQ(saved("run"), std::vector<std::int64_t>({9, 10}));
  EXPECT_EQ(tensors("run", 9), ninth);
  EXPECT_THAT(fusor("ckpt verify run"), HasSubstr("all of it whole"));
  fusor(train("run", every + "12"), 2);
}

}  // namespace
}  // namespace fusor
