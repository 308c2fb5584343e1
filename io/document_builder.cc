#include "io/document_builder.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <set>
#include <string_view>

#include "io/csv.h"
#include "io/file.h"
#include "io/record_writer.h"
#include "io/stored_vocab.h"
#include "io/text_files.h"
#include "io/utf8.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

struct Document {
  std::string place;  // "FILE line 3", "FILE"
  std::string_view label, text, group;
};
using TakeDocument = std::function<void(const Document&)>;

void read_rows(const std::string& path, const TakeDocument& take) {
  const CsvTable table = read_table(path);
  const std::size_t label = table.column("label", path), text = table.column("text", path);
  const auto group = std::ranges::find(table.columns, "group") - table.columns.begin();
  for (const CsvTable::Row& row : table.rows)
    take({path + " line " + std::to_string(row.line), row.fields[label], row.fields[text],
          group < std::ssize(row.fields) ? row.fields[static_cast<std::size_t>(group)] : ""});
}

void read_folders(const std::string& root, const TakeDocument& take) {
  std::vector<std::string> labels;
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_directory()) labels.push_back(entry.path().filename().string());
  require(!labels.empty(), root, " holds no folders, one for each label");
  std::ranges::sort(labels);
  for (const std::string& label : labels)
    for (const std::string& file : list_files({(fs::path(root) / label).string()})) {
      const std::string text = read_text_file(file, std::numeric_limits<std::int64_t>::max());
      take({file, label, text, {}});
    }
}

void for_each_document(const std::vector<std::string>& inputs, const TakeDocument& take) {
  for (const std::string& input : inputs)
    fs::is_directory(input) ? read_folders(input, take) : read_rows(input, take);
}

std::vector<std::string> find_labels(const std::vector<std::string>& inputs) {
  std::set<std::string, std::less<>> labels;
  for_each_document(inputs, [&](const Document& document) {
    if (!document.label.empty()) labels.emplace(document.label);
  });
  require(labels.size() > 1, "the input has ", labels.size(),
          " labels, but documents are told apart by two or more");
  return {labels.begin(), labels.end()};
}

// What keeps a document from being used; empty where nothing does.
std::string fault_of(const Document& document) {
  if (document.label.empty()) return document.place + " has no label";
  const std::size_t valid = valid_utf8_bytes(document.text);
  if (valid < document.text.size())
    return document.place + ": byte " + std::to_string(valid) + " of the text is not UTF-8";
  return {};
}

RecordWriterConfig writer_config(const DocumentBuildConfig& config, const WordPiece& tokenizer,
                                 const std::vector<std::string>& labels) {
  return {.output = config.output,
          .fields = {{.name = "tokens", .type = token_type_of(tokenizer), .ragged = true},
                     {.name = "label", .type = ElementType::i32, .names = labels}},
          .held_out = config.held_out,
          .split_seed = config.split_seed,
          .shard_bytes = config.shard_bytes};
}

void add_row(RecordWriter& writer, ElementType type, std::uint64_t group,
             const std::vector<std::int32_t>& ids, std::int32_t label) {
  if (type == ElementType::u16)
    writer.add(group, {std::vector<std::uint16_t>(ids.begin(), ids.end()), label});
  else
    writer.add(group, {ids, label});
}

}  // namespace

DocumentBuildReport build_document_dataset(const DocumentBuildConfig& config) {
  require(!config.inputs.empty(), "name at least one table or folder");
  const WordPiece tokenizer = WordPiece::read(config.vocab, {.lower_case = config.lower_case});
  const std::vector<std::string> labels = find_labels(config.inputs);
  RecordWriter writer(writer_config(config, tokenizer, labels));
  DocumentBuildReport report{.bad = BadSamples(config.on_bad_sample)};
  std::vector<std::int32_t> ids;
  for_each_document(config.inputs, [&](const Document& document) {
    if (const std::string fault = fault_of(document); !fault.empty()) return report.bad.add(fault);
    ids.clear();
    tokenizer.encode(document.text, ids);
    if (ids.empty()) return report.bad.add(document.place + " holds no word");
    const auto label = std::ranges::lower_bound(labels, document.label) - labels.begin();
    const std::string_view group = document.group.empty() ? document.text : document.group;
    add_row(writer, token_type_of(tokenizer), group_hash(group), ids,
            static_cast<std::int32_t>(label));
  });
  writer.field("tokens").attributes = vocab_attributes(store_vocab(writer.folder(), tokenizer));
  writer.field("tokens").attributes["vocab_size"] = std::to_string(tokenizer.size());
  report.manifest = writer.finish();
  return report;
}

}  // namespace fusor
