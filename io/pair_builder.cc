#include "io/pair_builder.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "io/checksum.h"
#include "io/csv.h"
#include "io/file.h"
#include "io/groups.h"
#include "io/image.h"
#include "io/image_resize.h"
#include "io/in_order.h"
#include "io/record_writer.h"
#include "io/sound.h"
#include "io/stored_vocab.h"
#include "io/utf8.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 28;
constexpr std::uint64_t kMaxTableBytes = std::uint64_t{1} << 32;

// A column of the table that it may lack.
class Column {
 public:
  Column(const CsvTable& table, const std::string& name) {
    const auto found = std::ranges::find(table.columns, name);
    if (found != table.columns.end()) index_ = found - table.columns.begin();
  }
  explicit operator bool() const { return index_ >= 0; }
  std::string of(const CsvTable::Row& row) const {
    return index_ < 0 ? "" : row.fields[static_cast<std::size_t>(index_)];
  }

 private:
  std::ptrdiff_t index_ = -1;
};

// A row as it will be stored, or what is wrong with it.
struct Prepared {
  std::vector<std::uint8_t> image;
  std::vector<std::int16_t> sound;
  std::vector<std::int32_t> tokens;
  std::string fault;
};

class PairBuilder {
 public:
  explicit PairBuilder(const PairBuildConfig& config)
      : config_(config),
        table_(parse_csv(read_text_file(config.input, kMaxTableBytes), config.input)),
        split_of_(config.split_seed, config.held_out) {
    require(image_ || sound_ || text_, config.input, " has no column image, sound or text");
    require(config.image_size > 0 && (config.channels == 1 || config.channels == 3),
            "images cannot become pixels of size ", config.image_size, " and ", config.channels,
            " channels");
    if (!config.vocab.empty())
      tokenizer_ = WordPiece::read(config.vocab, {.lower_case = config.lower_case});
    std::set<std::string> labels;
    for (const CsvTable::Row& row : table_.rows) labels.insert(label_.of(row));
    labels.erase("");
    labels_.assign(labels.begin(), labels.end());
    report_.bad = BadSamples(config.on_bad_sample);
    find_groups();
  }

  PairBuildReport run() {
    RecordWriter writer({.output = config_.output,
                         .fields = fields(),
                         .held_out = config_.held_out,
                         .split_seed = config_.split_seed,
                         .shard_bytes = config_.shard_bytes});
    if (has_tokens()) {
      auto& attributes = writer.field("tokens").attributes;
      attributes = vocab_attributes(store_vocab(writer.folder(), *tokenizer_));
      attributes["vocab_size"] = std::to_string(tokenizer_->size());
    }
    in_order(
        std::ssize(table_.rows), config_.num_threads,
        [&](std::int64_t i) { return prepare(row(i)); },
        [&](std::int64_t i, const Prepared& prepared) { add(writer, row(i), prepared); });
    report_.manifest = writer.finish();
    return std::move(report_);
  }

 private:
  const CsvTable::Row& row(std::int64_t i) const {
    return table_.rows[static_cast<std::size_t>(i)];
  }
  bool has_tokens() const { return text_ && tokenizer_.has_value(); }
  std::string place(const CsvTable::Row& row) const {
    return config_.input + " line " + std::to_string(row.line);
  }
  std::string path(const std::string& name) const {
    return (fs::path(config_.input).parent_path() / name).string();
  }

  std::vector<FieldInfo> fields() const {
    std::vector<FieldInfo> fields;
    if (image_)
      fields.push_back({.name = "image",
                        .shape = {config_.image_size, config_.image_size, config_.channels},
                        .attributes = {{"encoding", "pixels"}}});
    if (sound_)
      fields.push_back({.name = "sound",
                        .type = ElementType::i16,
                        .ragged = true,
                        .attributes = {{"sample_rate", std::to_string(config_.rate)}}});
    if (text_)
      fields.push_back({.name = "text", .ragged = true, .attributes = {{"encoding", "utf-8"}}});
    if (has_tokens())
      fields.push_back({.name = "tokens", .type = token_type_of(*tokenizer_), .ragged = true});
    if (!labels_.empty())
      fields.push_back({.name = "label", .type = ElementType::i32, .names = labels_});
    return fields;
  }

  // The group of a row is that of any one thing in it, since all of a row are joined.
  std::vector<std::uint64_t> things_in(const CsvTable::Row& row) const {
    std::vector<std::uint64_t> things = {group_hash("row " + std::to_string(row.line))};
    const auto add = [&](const std::string& kind, const std::string& what) {
      if (!what.empty()) things.push_back(group_hash(kind + what));
    };
    add("group ", group_.of(row));
    if (config_.equal_texts_together) add("text ", text_.of(row));
    for (const Column& column : {image_, sound_})
      if (const std::string name = column.of(row); !name.empty() && fs::is_regular_file(path(name)))
        things.push_back(checksum_file(path(name)));
    return things;
  }

  void find_groups() {
    for (const CsvTable::Row& row : table_.rows) {
      const std::vector<std::uint64_t> things = things_in(row);
      for (const std::uint64_t thing : things) groups_.join(things.front(), thing);
    }
  }

  Prepared prepare(const CsvTable::Row& row) const {
    Prepared p;
    try {
      const std::string image = image_.of(row), sound = sound_.of(row), text = text_.of(row);
      require(!image.empty() || !sound.empty() || !text.empty(),
              "it has neither image nor sound nor text");
      if (!image.empty()) p.image = pixels(path(image));
      if (!sound.empty()) p.sound = training_pcm(path(sound), config_.rate, config_.most_seconds);
      require(valid_utf8_bytes(text) == text.size(), "its text is not UTF-8");
      if (has_tokens()) tokenizer_->encode(text, p.tokens);
      require(text.empty() || !has_tokens() || !p.tokens.empty(), "its text has no word");
    } catch (const Error& error) {
      p.fault = place(row) + ": " + error.what();
    }
    return p;
  }

  std::vector<std::uint8_t> pixels(const std::string& file) const {
    const std::string bytes = read_text_file(file, kMaxFileBytes);
    const Image image = decode_image(std::as_bytes(std::span(bytes)), config_.channels, file);
    return resize(image, config_.image_size, config_.image_size).pixels;
  }

  void add(RecordWriter& writer, const CsvTable::Row& row, const Prepared& p) {
    if (!p.fault.empty()) return report_.bad.add(p.fault);
    const std::string text = text_.of(row), label = label_.of(row);
    const std::vector<std::uint16_t> narrow(p.tokens.begin(), p.tokens.end());
    std::vector<FieldValue> values;
    const auto put = [&](bool there, const FieldValue& value) {
      values.push_back(there ? value : FieldValue());
    };
    if (image_) put(!p.image.empty(), p.image);
    if (sound_) put(!p.sound.empty(), p.sound);
    if (text_) put(!text.empty(), std::string_view(text));
    if (has_tokens())
      put(!text.empty(), token_type_of(*tokenizer_) == ElementType::u16 ? FieldValue(narrow)
                                                                        : FieldValue(p.tokens));
    if (!labels_.empty())
      put(!label.empty(),
          static_cast<std::int32_t>(std::ranges::lower_bound(labels_, label) - labels_.begin()));
    const std::uint64_t group = groups_.of(group_hash("row " + std::to_string(row.line)));
    const std::string given = split_.of(row);
    writer.add(given.empty() || given == "train" ? split_of_(group) : given, group, values);
  }

  const PairBuildConfig& config_;
  const CsvTable table_;
  const Column image_{table_, "image"}, sound_{table_, "sound"}, text_{table_, "text"},
      label_{table_, "label"}, group_{table_, "group"}, split_{table_, "split"};
  SplitByHash split_of_;
  std::optional<WordPiece> tokenizer_;
  std::vector<std::string> labels_;
  Groups groups_;
  PairBuildReport report_;
};

}  // namespace

PairBuildReport build_pair_dataset(const PairBuildConfig& config) {
  return PairBuilder(config).run();
}

}  // namespace fusor
