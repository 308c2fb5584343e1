#include "io/record_manifest.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "io/checksum.h"
#include "io/json.h"
#include "io/manifest_parts.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1}
                                   << 48;  // rows or items of a split: sums stay exact
constexpr std::int64_t kMaxItemBytes = std::int64_t{1} << 32;
constexpr std::string_view kOffsetsSuffix = "_offsets";

bool is_field_name(const std::string& name) {
  const auto letter = [](char c) { return 'a' <= c && c <= 'z'; };
  const auto allowed = [&](char c) { return letter(c) || ('0' <= c && c <= '9') || c == '_'; };
  return !name.empty() && letter(name[0]) && std::ranges::all_of(name, allowed) &&
         name != "present" && name != "group" && !name.ends_with(kOffsetsSuffix);
}

bool is_integer(ElementType type) { return type != ElementType::f32; }

void check_field(const FieldInfo& field) {
  require(is_field_name(field.name), "'", field.name,
          "' cannot name a field: use a-z, 0-9 and _ after a letter, not 'present', 'group' or "
          "'..._offsets'");
  require(field.shape.size() < 8, "field '", field.name, "' has ", field.shape.size(), " dims");
  std::int64_t bytes = size_of(field.type);
  for (const std::int64_t extent : field.shape)
    require(extent > 0 && !__builtin_mul_overflow(bytes, extent, &bytes) && bytes <= kMaxItemBytes,
            "field '", field.name, "' cannot have the shape ", field.shape);
  require(field.names.empty() || is_integer(field.type), "field '", field.name, "' of ",
          name_of(field.type), " cannot have names for its values");
}

std::vector<std::string> texts(const JsonObject& object, const std::string& key) {
  return object.has(key) ? object.texts(key) : std::vector<std::string>{};
}

FieldInfo read_field(const JsonObject& entry) {
  entry.allow_only({"name", "dtype", "ragged", "shape", "names", "attributes"});
  FieldInfo field{.name = entry.text("name")};
  const std::string dtype = entry.text("dtype");
  const auto type = find_element_type(dtype);
  require(type.has_value(), entry.name_of("dtype"), " is '", dtype,
          "', not u8, u16, i16, i32, i64 or f32");
  field.type = *type;
  field.ragged = entry.flag("ragged");
  field.shape = entry.counts("shape");
  field.names = texts(entry, "names");
  if (entry.has("attributes")) {
    const JsonObject attributes = entry.object("attributes");
    for (const std::string& key : attributes.keys()) field.attributes[key] = attributes.text(key);
  }
  return field;
}

FieldSet parse_set(const std::string& key, std::size_t num_fields, const std::string& name) {
  FieldSet set = 0;
  const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), set);
  require(status == std::errc() && end == key.data() + key.size() && std::to_string(set) == key &&
              std::uint64_t{set} >> num_fields == 0,
          name, " is not a set of the ", num_fields, " fields: a number below 2^", num_fields);
  return set;
}

// The bytes that the manifest says are in the file must fit in it.
void check_bytes(const RecordShardInfo& shard, const std::vector<FieldInfo>& fields,
                 const JsonObject& entry) {
  std::int64_t left = shard.stored.bytes;
  const auto take = [&](std::int64_t count, std::int64_t bytes, const std::string& what) {
    require(count <= left / bytes, entry.name_of(what), " is ", count, ", more than a file of ",
            shard.stored.bytes, " bytes can hold");
    left -= count * bytes;
  };
  take(shard.rows, sizeof(FieldSet) + sizeof(std::uint64_t), "rows");
  for (std::size_t f = 0; f < fields.size(); ++f)
    if (fields[f].ragged)
      take(shard.items[f], fields[f].item_bytes(), "items." + fields[f].name);
    else
      take(shard.rows, fields[f].item_bytes(), "rows");
}

RecordShardInfo read_shard(const JsonObject& entry, const std::vector<FieldInfo>& fields,
                           std::set<std::string>& files) {
  entry.allow_only({"file", "rows", "items", "sets", "bytes", "xxh3"});
  RecordShardInfo shard{.file = shard_file_of(entry, files),
                        .rows = entry.count("rows"),
                        .items = std::vector<std::int64_t>(fields.size()),
                        .sets = {},
                        .stored = {entry.count("bytes"), entry.checksum("xxh3")}};
  const JsonObject items = entry.object("items"), sets = entry.object("sets");
  std::size_t num_ragged = 0;
  for (std::size_t f = 0; f < fields.size(); ++f)
    if (fields[f].ragged) {
      shard.items[f] = items.count(fields[f].name);
      ++num_ragged;
    }
  require(items.keys().size() == num_ragged, entry.name_of("items"),
          " counts a field that is not a ragged one");
  check_bytes(shard, fields, entry);
  std::int64_t rows = 0;
  for (const std::string& key : sets.keys()) {
    const std::int64_t count = sets.count(key);
    require(count > 0 && count <= shard.rows - rows, sets.name_of(key), " is ", count, ", which ",
            shard.rows, " rows cannot hold");
    shard.sets[parse_set(key, fields.size(), sets.name_of(key))] = count;
    rows += count;
  }
  require(shard.rows > 0 && rows == shard.rows, entry.name_of("rows"), " is ", shard.rows,
          ", its sets say ", rows);
  return shard;
}

RecordSplit read_split(const JsonObject& splits, const std::string& name,
                       const std::vector<FieldInfo>& fields, std::set<std::string>& files) {
  RecordSplit split{name, {}};
  std::int64_t rows = 0;
  std::vector<std::int64_t> items(fields.size());
  const auto add = [](std::int64_t& sum, std::int64_t count, const std::string& what) {
    require(count <= kMaxCount - sum, what, " takes the split beyond 2^48");
    sum += count;
  };
  for (const JsonObject& entry : splits.objects(name)) {
    split.shards.push_back(read_shard(entry, fields, files));
    const RecordShardInfo& shard = split.shards.back();
    add(rows, shard.rows, entry.name_of("rows"));
    for (std::size_t f = 0; f < fields.size(); ++f)
      add(items[f], shard.items[f], entry.name_of("items"));
  }
  require(rows > 0, splits.name_of(name), " holds no shards");
  return split;
}

nlohmann::ordered_json to_json(const FieldInfo& field) {
  nlohmann::ordered_json json = {{"name", field.name},
                                 {"dtype", name_of(field.type)},
                                 {"ragged", field.ragged},
                                 {"shape", std::vector<std::int64_t>(field.shape)}};
  if (!field.names.empty()) json["names"] = field.names;
  if (!field.attributes.empty()) json["attributes"] = field.attributes;
  return json;
}

nlohmann::ordered_json to_json(const RecordShardInfo& shard, const std::vector<FieldInfo>& fields) {
  auto items = nlohmann::ordered_json::object(), sets = items;
  for (std::size_t f = 0; f < fields.size(); ++f)
    if (fields[f].ragged) items[fields[f].name] = shard.items[f];
  for (const auto& [set, count] : shard.sets) sets[std::to_string(set)] = count;
  return {{"file", shard.file},
          {"rows", shard.rows},
          {"items", items},
          {"sets", sets},
          {"bytes", shard.stored.bytes},
          {"xxh3", checksum_text(shard.stored.checksum)}};
}

}  // namespace

std::int64_t FieldInfo::item_bytes() const { return num_elements(shape) * size_of(type); }

std::int64_t RecordSplit::num_rows() const {
  std::int64_t sum = 0;
  for (const RecordShardInfo& shard : shards) sum += shard.rows;
  return sum;
}

std::int64_t RecordSplit::num_items(std::size_t field) const {
  std::int64_t sum = 0;
  for (const RecordShardInfo& shard : shards) sum += shard.items.at(field);
  return sum;
}

std::map<FieldSet, std::int64_t> RecordSplit::sets() const {
  std::map<FieldSet, std::int64_t> sums;
  for (const RecordShardInfo& shard : shards)
    for (const auto& [set, count] : shard.sets) sums[set] += count;
  return sums;
}

const RecordSplit* RecordManifest::find(std::string_view split) const {
  const auto found = std::ranges::find(splits, split, &RecordSplit::name);
  return found == splits.end() ? nullptr : &*found;
}

std::size_t RecordManifest::index_of(std::string_view field) const {
  const auto found = std::ranges::find(fields, field, &FieldInfo::name);
  if (found != fields.end()) return static_cast<std::size_t>(found - fields.begin());
  std::string names;
  for (const FieldInfo& known : fields) names += (names.empty() ? "" : ", ") + known.name;
  raise("the dataset has no field '" + std::string(field) + "'; it has " + names);
}

void check_fields(const std::vector<FieldInfo>& fields) {
  require(!fields.empty() && fields.size() <= kMaxFields, "a dataset of records has 1 to ",
          kMaxFields, " fields, not ", fields.size());
  std::set<std::string> names;
  for (const FieldInfo& field : fields) {
    check_field(field);
    require(names.insert(field.name).second, "field '", field.name, "' is given twice");
  }
}

RecordManifest parse_record_manifest(std::string_view text, const std::string& file) {
  const nlohmann::json json = parse_json(text, file);
  const JsonObject root(json, file);
  check_schema(root, "records");
  root.allow_only({"format", "version", "schema", "fields", "splits"});
  RecordManifest manifest;
  for (const JsonObject& entry : root.objects("fields"))
    manifest.fields.push_back(read_field(entry));
  try {
    check_fields(manifest.fields);
  } catch (const Error& error) {
    raise(root.name_of("fields") + ": " + error.what());
  }
  const JsonObject splits = root.object("splits");
  std::set<std::string> files;
  for (const std::string& name : splits.keys())
    manifest.splits.push_back(read_split(splits, name, manifest.fields, files));
  require(!manifest.splits.empty(), root.name_of("splits"), " holds no splits");
  return manifest;
}

RecordManifest read_record_manifest(const std::string& folder) {
  const std::string file = manifest_path(folder);
  return parse_record_manifest(read_text_file(file, kMaxManifestBytes), file);
}

std::string to_text(const RecordManifest& manifest) {
  nlohmann::ordered_json json = manifest_head("records");
  json["fields"] = nlohmann::ordered_json::array();
  for (const FieldInfo& field : manifest.fields) json["fields"].push_back(to_json(field));
  json["splits"] = nlohmann::ordered_json::object();
  for (const RecordSplit& split : manifest.splits) {
    auto& shards = json["splits"][split.name] = nlohmann::ordered_json::array();
    for (const RecordShardInfo& shard : split.shards)
      shards.push_back(to_json(shard, manifest.fields));
  }
  return json_text(json, "names and attributes of fields");
}

}  // namespace fusor
