#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/record_shard.h"
#include "io/shard.h"
#include "io/stored_vocab.h"
#include "launch/arguments.h"
#include "launch/commands.h"
#include "launch/data_actions.h"
#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

// The one DIR of `fusor data ACTION DIR`; empty when help was asked for and printed.
std::string folder_argument(const std::string& action, const std::string& summary,
                            const std::vector<std::string>& args) {
  return parse_one_argument("fusor data " + action, "DIR", "the dataset's folder", summary, args);
}

// `vocab` is null where tokens are bytes.
void print_first_documents(const std::string& folder, const SplitInfo& split,
                           const Manifest& manifest, const WordPiece* vocab) {
  constexpr std::int64_t kDocuments = 3, kTokens = 70;
  const TextShard shard(folder, split.shards[0], manifest, false);
  const auto offsets = read_offsets(folder, split.shards[0]);
  for (std::int64_t d = 0; d < std::min(kDocuments, split.shards[0].documents); ++d) {
    const std::int64_t length = offsets[d + 1] - offsets[d];
    std::vector<std::int32_t> tokens(std::min(kTokens, length));
    shard.read(offsets[d], tokens);
    std::cout << "  " << split.name << '[' << d << "], " << counted(length, "token") << ": ";
    if (vocab)
      for (const std::int32_t token : tokens) std::cout << vocab->piece(token) << ' ';
    else
      std::cout << escape(std::string(tokens.begin(), tokens.end()));
    std::cout << (length > kTokens ? " ...\n" : "\n");
  }
}

int inspect(const std::vector<std::string>& args) {
  const std::string folder =
      folder_argument("inspect", "Prints a dataset's schema, counts and first documents.", args);
  if (folder.empty()) return 0;
  if (read_schema(folder) == "records") {
    inspect_records(folder);
    return 0;
  }
  const Manifest manifest = read_manifest(folder);
  std::cout << folder << ": text, tokenizer " << manifest.tokenizer << ", vocabulary "
            << manifest.vocab_size << ", stored as " << name_of(manifest.token_type)
            << ", separator " << escape(manifest.separator) << '\n';
  print_splits(manifest);
  std::cout << "first documents\n";
  std::optional<WordPiece> vocab;
  if (manifest.vocab) vocab = read_vocab(folder, *manifest.vocab);
  for (const SplitInfo& split : manifest.splits)
    print_first_documents(folder, split, manifest, vocab ? &*vocab : nullptr);
  return 0;
}

// Runs check(shard) for each shard of a manifest, tells of each and throws what it found.
template <class Manifest, class Check>
void verify_shards(const std::string& folder, const Manifest& manifest, Check&& check) {
  std::vector<std::string> faults;
  std::int64_t num_shards = 0;
  for (const auto& split : manifest.splits)
    for (const auto& shard : split.shards) try {
        ++num_shards;
        check(shard);
        std::cout << shard.file << "  ok\n";
      } catch (const Error& error) {
        std::cout << shard.file << "  BAD\n";
        faults.push_back(error.what());
      }
  std::string all;
  for (const std::string& fault : faults) all += (all.empty() ? "" : "; ") + fault;
  require(faults.empty(), all);
  std::cout << folder << ": " << counted(num_shards, "shard") << " ok\n";
}

int verify(const std::vector<std::string>& args) {
  const std::string folder = folder_argument(
      "verify", "Reads every shard: size, checksum, counts, documents and token ids.", args);
  if (folder.empty()) return 0;
  if (read_schema(folder) == "records") {
    const RecordManifest manifest = read_record_manifest(folder);
    verify_shards(folder, manifest, [&](const RecordShardInfo& shard) {
      verify_record_shard(folder, shard, manifest.fields);
    });
    return 0;
  }
  const Manifest manifest = read_manifest(folder);
  if (manifest.vocab) read_vocab(folder, *manifest.vocab);
  verify_shards(folder, manifest,
                [&](const ShardInfo& shard) { verify_text_shard(folder, shard, manifest); });
  return 0;
}

int cat(const std::vector<std::string>& args) {
  std::string folder, split;
  po::options_description options("options");
  options.add_options()("help", "print this")("dir", po::value(&folder), "the dataset's folder")(
      "split", po::value(&split)->default_value("val"), "which split");
  if (parse_arguments("fusor data cat", args, options,
                      po::positional_options_description().add("dir", 1))
          .contains("help")) {
    std::cout << "usage: fusor data cat DIR [--split NAME]\n\n"
                 "Writes the text of a split, as it was packed, to standard output.\n\n"
              << options;
    return 0;
  }
  require(!folder.empty(), "fusor data cat: name the dataset's folder");
  const Dataset dataset(folder, split);
  const std::string& tokenizer = dataset.manifest().tokenizer;
  require(tokenizer == "bytes", "fusor data cat: ", folder, " holds tokens of ", tokenizer,
          ", not bytes");
  constexpr std::int64_t kTokens = 1 << 20;
  for (std::int64_t first = 0; first < dataset.num_tokens(); first += kTokens) {
    std::vector<std::int32_t> tokens(std::min(kTokens, dataset.num_tokens() - first));
    dataset.read(first, tokens);
    std::cout << std::string(tokens.begin(), tokens.end());
  }
  std::cout.flush();
  require(std::cout.good(), "fusor data cat: standard output does not take the text");
  return 0;
}

struct Action {
  const char *name, *arguments, *what;
  int (*run)(const std::vector<std::string>&);
};
constexpr Action kActions[] = {
    {"text", "--input FILE... --output DIR", "packs files of text", data_text},
    {"documents", "--input FILE... --vocab FILE --output DIR", "packs labelled texts",
     data_documents},
    {"images", "--input DIR --output DIR", "packs images", data_images},
    {"speech", "--input FOLDER|CSV --output DIR", "packs sounds and what is said", data_speech},
    {"pairs", "--input CSV --output DIR", "packs rows of any of image, sound, text and label",
     data_pairs},
    {"vocab", "--input FILE... --output FILE", "makes a vocabulary for WordPiece", data_vocab},
    {"inspect", "DIR", "shows what a dataset holds", inspect},
    {"verify", "DIR", "checks all of a dataset", verify},
    {"cat", "DIR", "writes the text of a split", cat},
};

void print_usage() {
  std::cout << "usage: fusor data ACTION ARGUMENTS, of which --help tells more\n\n";
  for (const Action& action : kActions)
    std::cout << "  " << std::left << std::setw(10) << action.name << std::setw(43)
              << action.arguments << action.what << '\n';
}

}  // namespace

std::string counted(std::int64_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    char code[5];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
    if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else if (c == '\\' || c == '"')
      result += {'\\', c};
    else if (std::iscntrl(static_cast<unsigned char>(c)))
      result += code;
    else
      result += c;
  }
  return '"' + result + '"';
}

void print_splits(const Manifest& manifest) {
  for (const SplitInfo& split : manifest.splits)
    std::cout << "  " << std::left << std::setw(8) << split.name << std::right
              << counted(split.num_documents(), "document") << ", "
              << counted(split.num_tokens(), "token") << ", "
              << counted(std::ssize(split.shards), "shard") << '\n';
}

void print_skipped(const BadSamples& bad, const std::string& noun) {
  if (bad.count() > 0)
    std::cout << "  " << counted(bad.count(), noun) << " skipped, the first: " << bad.first()
              << '\n';
}

int data_command(const std::vector<std::string>& args) {
  if (args.empty() || args[0] == "--help") {
    print_usage();
    return 0;
  }
  std::vector<std::string> names;
  for (const Action& action : kActions) {
    if (args[0] == action.name) return action.run({args.begin() + 1, args.end()});
    names.emplace_back(action.name);
  }
  const std::string hint = did_you_mean(args[0], names);
  raise("fusor data: unknown action \"" + args[0] + "\"" +
        (hint.empty() ? ", fusor data --help lists them all" : hint));
}

}  // namespace fusor
