#include <iomanip>
#include <iostream>

#include "io/document_builder.h"
#include "launch/arguments.h"
#include "launch/data_actions.h"

namespace fusor {

namespace po = boost::program_options;

int data_documents(const std::vector<std::string>& args) {
  DocumentBuildConfig config;
  std::string on_bad_sample = "fail";
  bool cased = false;
  po::options_description options("options");
  options.add_options()("help", "print this")(
      "input", po::value(&config.inputs)->multitoken()->composing()->required(),
      "tables whose first row names the columns label and text, and may name group: of commas in "
      "a .csv, else of tabs; or folders that hold a folder of files for each label")(
      "output", po::value(&config.output)->required(), "the dataset's folder; must not exist")(
      "vocab", po::value(&config.vocab)->required(), "a vocab.txt, from fusor data vocab say")(
      "cased", po::bool_switch(&cased), "the vocabulary has capitals and accents")(
      "val-fraction", po::value(&config.held_out.val)->default_value(config.held_out.val, "0.1"),
      "share of the groups held out in the split 'val'")(
      "test-fraction", po::value(&config.held_out.test)->default_value(0),
      "share held out in the split 'test'")(
      "split-seed", po::value(&config.split_seed)->default_value(config.split_seed),
      "another seed holds out other groups")(
      "on-bad-sample", po::value(&on_bad_sample)->default_value(on_bad_sample),
      "fail or skip: what to do about a document that is empty, not UTF-8 or has no label");
  if (parse_arguments("fusor data documents", args, options).contains("help")) {
    std::cout
        << "usage: fusor data documents --input FILE... --vocab FILE --output DIR [OPTIONS]"
           "\n\nPacks labelled documents into a dataset of word pieces, as BERT cuts them, to "
           "train a classifier.\nDocuments of one group, and equal ones, are never split "
           "between training and held-out data.\n\n"
        << options;
    return 0;
  }
  config.lower_case = !cased;
  config.on_bad_sample =
      parse_on_bad_sample(on_bad_sample, "fusor data documents: --on-bad-sample");
  const DocumentBuildReport report = build_document_dataset(config);
  std::cout << config.output << ": "
            << counted(std::ssize(report.manifest.fields[1].names), "label") << '\n';
  for (const RecordSplit& split : report.manifest.splits)
    std::cout << "  " << std::left << std::setw(8) << split.name << std::right
              << counted(split.num_rows(), "document") << ", "
              << counted(split.num_items(0), "token") << '\n';
  print_skipped(report.bad, "document");
  return 0;
}

}  // namespace fusor
