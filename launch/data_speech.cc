#include <cstdio>
#include <iostream>

#include "io/speech_builder.h"
#include "launch/arguments.h"
#include "launch/data_actions.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

void print(const SpeechBuildReport& report, const std::string& output) {
  std::int64_t rows = 0;
  for (const RecordSplit& split : report.manifest.splits) rows += split.num_rows();
  std::printf("packed %s, %.1f minutes, into %s\n", counted(rows, "sound").c_str(),
              report.seconds / 60, output.c_str());
  for (const RecordSplit& split : report.manifest.splits)
    std::cout << "  " << split.name << ": " << counted(split.num_rows(), "sound") << '\n';
  const std::size_t labels =
      report.manifest.fields[report.manifest.index_of("labels")].names.size();
  std::cout << "  " << counted(static_cast<std::int64_t>(labels), "label") << '\n';
  if (report.num_seen > 0)
    std::cout << "  " << counted(report.num_seen, "held-out sound")
              << " dropped whose text is in the training split\n";
  if (report.skipped.empty()) return;
  std::cout << "  " << counted(std::ssize(report.skipped), "bad sample") << " skipped\n";
  for (const std::string& what : report.skipped) std::cout << "    " << what << '\n';
}

}  // namespace

int data_speech(const std::vector<std::string>& args) {
  SpeechBuildConfig config;
  std::string units = "characters", on_bad_sample = "fail";
  std::int64_t shard_mb = config.shard_bytes >> 20;
  po::options_description options("options");
  const auto option = [&]<class T>(const char* name, T& to, const char* what) {
    options.add_options()(name, po::value(&to)->default_value(to), what);
  };
  options.add_options()("help", "print this")(
      "input", po::value(&config.input)->required(),
      "a folder of sounds, each with its text beside it (a.ogg, a.txt), or a "
      ".csv file with the columns path, text and, if there are groups, group")(
      "output", po::value(&config.output)->required(), "the dataset's folder; must not exist")(
      "letters-only", po::bool_switch(&config.letters_only),
      "texts in lower case, without punctuation")(
      "drop-seen-texts", po::bool_switch(&config.drop_seen_texts),
      "leave out held-out sounds whose text is one of the training split's");
  option("rate", config.rate, "samples a second of what is stored");
  option("units", units, "what a label stands for: characters, words or bytes");
  option("most-seconds", config.most_seconds, "a longer sound is bad");
  option("val-fraction", config.held_out.val, "share of the groups in the split 'val'");
  option("test-fraction", config.held_out.test, "share of the groups in the split 'test'");
  option("split-seed", config.split_seed, "another seed holds out other groups");
  option("shard-mb", shard_mb, "MiB in a shard");
  option("on-bad-sample", on_bad_sample,
         "fail or skip: what to do about a sound that cannot be read, is cut off or silent, and a "
         "text that is missing or not UTF-8");
  if (parse_arguments("fusor data speech", args, options).contains("help")) {
    std::cout << "usage: fusor data speech --input FOLDER|CSV --output DIR [OPTIONS]\n\n"
                 "Packs sounds and what is said in them into a dataset, split by group: a column "
                 "of the file,\nor the folder that a sound lies in.\n\n"
              << options;
    return 0;
  }
  require(1 <= shard_mb && shard_mb <= 1 << 20, "fusor data speech: --shard-mb must be 1 to ",
          1 << 20, ", not ", shard_mb);
  require(1000 <= config.rate && config.rate <= 192000,
          "fusor data speech: --rate must be 1000 to 192000, not ", config.rate);
  config.shard_bytes = shard_mb << 20;
  config.units = text_units_of(units);
  config.on_bad_sample = parse_on_bad_sample(on_bad_sample, "fusor data speech: --on-bad-sample");
  print(build_speech_dataset(config), config.output);
  return 0;
}

}  // namespace fusor
