#include <cstdio>
#include <iostream>
#include <thread>

#include "io/text_builder.h"
#include "launch/arguments.h"
#include "launch/data_actions.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

bool is_hex_digit(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

// "\n" typed as two characters becomes one, as do \t, \r, \0, \\ and \xHH.
std::string unescape(const std::string& text) {
  static constexpr std::string_view kLetters = "ntr0\\", kMeanings("\n\t\r\0\\", 5);
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result += text[i];
      continue;
    }
    const char letter = ++i < text.size() ? text[i] : ' ';
    if (letter == 'x' && i + 2 < text.size() && is_hex_digit(text[i + 1]) &&
        is_hex_digit(text[i + 2])) {
      result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
      continue;
    }
    const auto known = kLetters.find(letter);
    require(known != std::string_view::npos, "fusor data text: the separator '", text,
            "' holds an escape other than \\n \\t \\r \\0 \\\\ \\xHH");
    result += kMeanings[known];
  }
  return result;
}

}  // namespace

int data_text(const std::vector<std::string>& args) {
  TextBuildConfig config;
  std::string separator = "\\n\\n";
  std::string on_bad_sample = "fail";
  bool cased = false;
  std::int64_t shard_mb = config.shard_bytes >> 20;
  po::options_description options("options");
  options.add_options()("help", "print this")(
      "input", po::value(&config.inputs)->multitoken()->composing()->required(),
      "files to pack, and folders of them")("output", po::value(&config.output)->required(),
                                            "the dataset's folder; must not exist")(
      "separator", po::value(&separator)->default_value(separator),
      "ends a document, with \\n \\t \\xHH understood; empty: each file is one document")(
      "vocab", po::value(&config.vocab),
      "a vocab.txt: tokens are its word pieces, as BERT cuts them; without one they are bytes")(
      "cased", po::bool_switch(&cased), "the vocabulary has capitals and accents")(
      "on-bad-sample", po::value(&on_bad_sample)->default_value(on_bad_sample),
      "fail or skip: what to do about a document that is not UTF-8, which word pieces need")(
      "val-fraction", po::value(&config.val_fraction)->default_value(config.val_fraction, "0.1"),
      "share of the documents held out in the split 'val'")(
      "split-seed", po::value(&config.split_seed)->default_value(config.split_seed),
      "another seed holds out other documents")(
      "shard-mb", po::value(&shard_mb)->default_value(shard_mb), "MiB of tokens in a shard");
  if (parse_arguments("fusor data text", args, options).contains("help")) {
    std::cout << "usage: fusor data text --input FILE... --output DIR [OPTIONS]\n\n"
                 "Packs text into a dataset of tokens, split into train and val by document.\n\n"
              << options;
    return 0;
  }
  require(shard_mb > 0 && shard_mb <= 1 << 20,
          "fusor data text: --shard-mb must be 1 to 1048576, not ", shard_mb);
  config.separator = unescape(separator);
  config.shard_bytes = shard_mb << 20;
  config.lower_case = !cased;
  config.num_threads = static_cast<int>(std::thread::hardware_concurrency());
  config.on_bad_sample = parse_on_bad_sample(on_bad_sample, "fusor data text: --on-bad-sample");
  const TextBuildReport report = build_text_dataset(config);
  std::cout << "packed " << counted(report.num_files, "file") << " into " << config.output
            << (config.vocab.empty() ? " (a token is a byte)\n" : " (a token is a word piece)\n");
  print_splits(report.manifest);
  if (report.num_empty > 0)
    std::cout << "  " << counted(report.num_empty, "empty document") << " dropped\n";
  print_skipped(report.bad, "document");
  return 0;
}

}  // namespace fusor
