#include <algorithm>
#include <iostream>
#include <thread>

#include "io/pair_builder.h"
#include "launch/arguments.h"
#include "launch/data_actions.h"
#include "runtime/error.h"

namespace fusor {

namespace po = boost::program_options;

int data_pairs(const std::vector<std::string>& args) {
  PairBuildConfig config;
  std::string on_bad_sample = "fail";
  std::int64_t shard_mb = config.shard_bytes >> 20;
  bool cased = false, equal_texts_apart = false;
  config.num_threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  po::options_description options("options");
  const auto option = [&]<class T>(const char* name, T& to, const char* what) {
    options.add_options()(name, po::value(&to)->default_value(to), what);
  };
  options.add_options()("help", "print this")("input", po::value(&config.input)->required(),
                                              "a .csv file; paths begin in its folder")(
      "output", po::value(&config.output)->required(), "the dataset's folder; must not exist")(
      "vocab", po::value(&config.vocab), "a vocab.txt: texts become word pieces too")(
      "cased", po::bool_switch(&cased), "the vocabulary has capitals and accents")(
      "equal-texts-apart", po::bool_switch(&equal_texts_apart),
      "rows may share a text and yet stand on two sides of a split");
  option("image-size", config.image_size, "images become pixels of this size both ways");
  option("channels", config.channels, "1: grey, 3: colour");
  option("rate", config.rate, "samples a second of the sounds");
  option("most-seconds", config.most_seconds, "a longer sound is bad");
  option("val-fraction", config.held_out.val, "share of the groups in the split 'val'");
  option("test-fraction", config.held_out.test, "share of the groups in the split 'test'");
  option("split-seed", config.split_seed, "another seed holds out other groups");
  option("shard-mb", shard_mb, "MiB in a shard");
  option("threads", config.num_threads, "that decode");
  option("on-bad-sample", on_bad_sample,
         "fail or skip: what to do about a row whose image, sound or text cannot be used");
  if (parse_arguments("fusor data pairs", args, options).contains("help")) {
    std::cout << "usage: fusor data pairs --input CSV --output DIR [OPTIONS]\n\n"
                 "Packs rows that hold any of image, sound, text and label, named by the columns "
                 "of a table; it may\nalso have the columns group and split. Rows that share a "
                 "group, an image, a sound or a text\nnever stand on two sides of a split.\n\n"
              << options;
    return 0;
  }
  require(1 <= shard_mb && shard_mb <= 1 << 20, "fusor data pairs: --shard-mb must be 1 to ",
          1 << 20, ", not ", shard_mb);
  config.shard_bytes = shard_mb << 20;
  config.lower_case = !cased;
  config.equal_texts_together = !equal_texts_apart;
  config.on_bad_sample = parse_on_bad_sample(on_bad_sample, "fusor data pairs: --on-bad-sample");
  const PairBuildReport report = build_pair_dataset(config);
  std::cout << "packed " << config.input << " into " << config.output << '\n';
  for (const RecordSplit& split : report.manifest.splits)
    std::cout << "  " << split.name << ": " << counted(split.num_rows(), "row") << '\n';
  print_skipped(report.bad, "row");
  return 0;
}

}  // namespace fusor
