#include "io/record_writer.h"

#include <algorithm>
#include <utility>

#include "io/checksum.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr const char* kFirstSplits[] = {"train", "val", "test"};

bool is_split_name(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return ('a' <= c && c <= 'z') || ('0' <= c && c <= '9') || c == '_';
  });
}

}  // namespace

std::uint64_t group_hash(std::string_view key) { return checksum(key.data(), key.size()); }

RecordWriter::RecordWriter(RecordWriterConfig config)
    : config_(std::move(config)),
      manifest_{(check_fields(config_.fields), config_.fields), {}},
      split_of_(config_.split_seed, config_.held_out),
      folder_(config_.output) {
  require(config_.shard_bytes > 0, "a shard must hold 1 byte or more, not ", config_.shard_bytes);
}

void RecordWriter::add(std::uint64_t group, const std::vector<FieldValue>& row) {
  add(split_of_(group), group, row);
}

void RecordWriter::add(const std::string& split, std::uint64_t group,
                       const std::vector<FieldValue>& row) {
  check(row);
  append(split_named(split), group, row);
  ++num_rows_;
}

RecordWriter::Split& RecordWriter::split_named(const std::string& name) {
  const auto found = splits_.find(name);
  if (found != splits_.end()) return found->second;
  require(is_split_name(name), "'", name, "' cannot name a split: use a-z, 0-9 and _");
  return splits_.try_emplace(name, Split{{name, {}}, RecordColumns(manifest_.fields.size())})
      .first->second;
}

void RecordWriter::check(const std::vector<FieldValue>& row) const {
  const std::vector<FieldInfo>& fields = manifest_.fields;
  require(row.size() == fields.size(), "row ", num_rows_, " has ", row.size(), " values for ",
          fields.size(), " fields");
  bool any = false;
  for (std::size_t f = 0; f < fields.size(); ++f) {
    if (!row[f].there()) continue;
    any = true;
    const FieldInfo& field = fields[f];
    require(row[f].type() == field.type, "field '", field.name, "' of row ", num_rows_, " holds ",
            name_of(row[f].type()), ", not ", name_of(field.type));
    const std::int64_t bytes = std::ssize(row[f].bytes()), item = field.item_bytes();
    require(field.ragged ? bytes % item == 0 : bytes == item, "field '", field.name, "' of row ",
            num_rows_, " has ", bytes / size_of(field.type), " numbers, which ",
            field.ragged ? "items of shape " : "the shape ", field.shape, " cannot hold");
  }
  require(any, "row ", num_rows_, " holds no field at all");
}

void RecordWriter::append(Split& split, std::uint64_t group, const std::vector<FieldValue>& row) {
  std::int64_t bytes = sizeof(FieldSet) + sizeof(group);
  for (std::size_t f = 0; f < row.size(); ++f)
    bytes += manifest_.fields[f].ragged ? std::ssize(row[f].bytes()) + 8
                                        : manifest_.fields[f].item_bytes();
  if (split.bytes > 0 && split.bytes + bytes > config_.shard_bytes) flush(split);
  split.bytes += bytes;
  FieldSet present = 0;
  for (std::size_t f = 0; f < row.size(); ++f) {
    const FieldInfo& field = manifest_.fields[f];
    RecordColumns::Field& column = split.columns.fields[f];
    if (row[f].there()) {
      present |= FieldSet{1} << f;
      const auto value = row[f].bytes();
      column.values.insert(column.values.end(), value.begin(), value.end());
    } else if (!field.ragged) {
      column.values.resize(column.values.size() + static_cast<std::size_t>(field.item_bytes()));
    }
    if (field.ragged) column.offsets.push_back(std::ssize(column.values) / field.item_bytes());
  }
  split.columns.present.push_back(present);
  split.columns.groups.push_back(group);
}

void RecordWriter::flush(Split& split) {
  if (split.columns.present.empty()) return;
  auto& shards = split.info.shards;
  shards.push_back(write_record_shard(folder_.path(), shard_name(split.info.name, shards.size()),
                                      manifest_.fields, split.columns));
  split.columns = RecordColumns(manifest_.fields.size());
  split.bytes = 0;
}

void RecordWriter::check_splits() const {
  require(num_rows_ > 0, "there are no rows to write to ", config_.output);
  const HeldOutShares& shares = config_.held_out;
  for (const auto& [name, share] : {std::pair("train", shares.val + shares.test),
                                    std::pair("val", shares.val), std::pair("test", shares.test)})
    require(share == 0 || splits_.contains(name), "the split '", name,
            "' would be empty: the input has ", num_rows_,
            " rows; choose another fraction or another seed");
}

RecordManifest RecordWriter::finish() {
  check_splits();
  for (auto& [name, split] : splits_) flush(split);
  const auto take = [&](const std::string& name) {
    if (auto split = splits_.extract(name))
      manifest_.splits.push_back(std::move(split.mapped().info));
  };
  for (const char* name : kFirstSplits) take(name);
  while (!splits_.empty()) take(splits_.begin()->first);
  check_fields(manifest_.fields);
  folder_.finish(to_text(manifest_));
  return manifest_;
}

}  // namespace fusor
