#include <filesystem>
#include <iostream>

#include "io/output_file.h"
#include "io/vocab_builder.h"
#include "launch/arguments.h"
#include "launch/data_actions.h"
#include "runtime/error.h"

namespace fusor {

namespace po = boost::program_options;

int data_vocab(const std::vector<std::string>& args) {
  VocabConfig config;
  std::string output, on_bad_sample = "fail";
  bool cased = false;
  po::options_description options("options");
  options.add_options()("help", "print this")(
      "input", po::value(&config.inputs)->multitoken()->composing()->required(),
      "files to read, and folders of them")("output", po::value(&output)->required(),
                                            "the vocabulary, a vocab.txt; must not exist")(
      "size", po::value(&config.size)->default_value(config.size), "pieces")(
      "cased", po::bool_switch(&cased), "keep capitals and accents")(
      "on-bad-sample", po::value(&on_bad_sample)->default_value(on_bad_sample),
      "fail or skip: what to do about a line that is not UTF-8");
  if (parse_arguments("fusor data vocab", args, options).contains("help")) {
    std::cout << "usage: fusor data vocab --input FILE... --output FILE [OPTIONS]\n\n"
                 "Makes a WordPiece vocabulary, as BERT reads it, of the words of a text.\n\n"
              << options;
    return 0;
  }
  require(!std::filesystem::exists(output), "fusor data vocab: ", output,
          " exists already: choose another file or remove it");
  config.lower_case = !cased;
  config.on_bad_sample = parse_on_bad_sample(on_bad_sample, "fusor data vocab: --on-bad-sample");
  const VocabReport report = build_vocab(config);
  std::string text;
  for (const std::string& piece : report.pieces) text += piece + '\n';
  write_text_file(output, text);
  std::cout << output << ": " << counted(std::ssize(report.pieces), "piece") << " of "
            << counted(report.num_words, "distinct word") << '\n';
  print_skipped(report.bad_lines, "line");
  return 0;
}

}  // namespace fusor
