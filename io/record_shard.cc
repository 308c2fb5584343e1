#include "io/record_shard.h"

#include <algorithm>
#include <filesystem>

#include "io/hdf5.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr const char* kPresent = "present";
constexpr const char* kGroup = "group";

std::string offsets_name(const FieldInfo& field) { return field.name + "_offsets"; }

std::string path_of(const std::string& folder, const std::string& file) {
  return (std::filesystem::path(folder) / file).string();
}

Shape with_rows(std::int64_t rows, const Shape& item) {
  Shape shape{rows};
  shape.insert(shape.end(), item.begin(), item.end());
  return shape;
}

void check_shape(const File& file, const std::string& name, const Shape& found,
                 const Shape& expected) {
  require(found == expected, file.path(), ": dataset '", name, "' is ", found,
          ", its manifest says ", expected);
}

std::size_t image_bytes(const RecordColumns& columns) {
  std::size_t bytes = 4096 + columns.present.size() * 12;
  for (const RecordColumns::Field& field : columns.fields)
    bytes += 1024 + field.values.size() + field.offsets.size() * 8;
  return bytes;
}

// The values of an integer field as i64.
std::vector<std::int64_t> widened(ElementType type, std::span<const std::byte> stored) {
  const auto as = [&]<class T>(T) {
    const auto* const from = reinterpret_cast<const T*>(stored.data());
    return std::vector<std::int64_t>(from, from + stored.size() / sizeof(T));
  };
  switch (type) {
    case ElementType::u8:
      return as(std::uint8_t{});
    case ElementType::u16:
      return as(std::uint16_t{});
    case ElementType::i16:
      return as(std::int16_t{});
    case ElementType::i32:
      return as(std::int32_t{});
    case ElementType::i64:
      return as(std::int64_t{});
    default:
      raise(std::string(name_of(type)) + " is no integer");
  }
}

}  // namespace

RecordShardInfo write_record_shard(const std::string& folder, const std::string& name,
                                   const std::vector<FieldInfo>& fields,
                                   const RecordColumns& columns) {
  const Hdf5Quiet quiet;
  const std::int64_t rows = std::ssize(columns.present);
  RecordShardInfo info{.file = name,
                       .rows = rows,
                       .items = std::vector<std::int64_t>(fields.size()),
                       .sets = {},
                       .stored = {}};
  for (const FieldSet set : columns.present) ++info.sets[set];
  Hdf5Image image(image_bytes(columns));
  image.add(kPresent, H5T_STD_U32LE, columns.present.data(), {rows});
  image.add(kGroup, H5T_STD_U64LE, columns.groups.data(), {rows});
  for (std::size_t f = 0; f < fields.size(); ++f) {
    const FieldInfo& field = fields[f];
    const RecordColumns::Field& column = columns.fields[f];
    if (field.ragged) {
      info.items[f] = column.offsets.back();
      image.add(offsets_name(field).c_str(), H5T_STD_I64LE, column.offsets.data(), {rows + 1});
    }
    image.add(field.name.c_str(), hdf5_type(field.type), column.values.data(),
              with_rows(field.ragged ? info.items[f] : rows, field.shape));
  }
  info.stored = write_shard_file(path_of(folder, name), image.bytes());
  return info;
}

RecordShard::RecordShard(const std::string& folder, const RecordShardInfo& info,
                         const std::vector<FieldInfo>& fields, bool verify)
    : file_(path_of(folder, info.file)) {
  check_shard_file(file_, info.stored, verify);
  const Hdf5Quiet quiet;
  const Hdf5File hdf5 = open_hdf5(file_.path());
  const StoredArray present(file_, hdf5.get(), kPresent, H5T_STD_U32LE, "u32");
  check_shape(file_, kPresent, present.shape(), {info.rows});
  present_ = present.read_all<FieldSet>(file_);
  check_present(info, fields.size());
  groups_ = StoredArray(file_, hdf5.get(), kGroup, H5T_STD_U64LE, "u64");
  check_shape(file_, kGroup, groups_.shape(), {info.rows});
  for (std::size_t f = 0; f < fields.size(); ++f) {
    columns_.push_back(open_column(hdf5.get(), fields[f], info.rows, info.items[f]));
    if (fields[f].ragged) check_lengths(f, offsets_name(fields[f]));
  }
}

RecordShard::Column RecordShard::open_column(std::int64_t hdf5_file, const FieldInfo& field,
                                             std::int64_t rows, std::int64_t items) const {
  Column column;
  column.values =
      StoredArray(file_, hdf5_file, field.name, hdf5_type(field.type), name_of(field.type));
  check_shape(file_, field.name, column.values.shape(),
              with_rows(field.ragged ? items : rows, field.shape));
  if (!field.ragged) return column;
  const std::string name = offsets_name(field);
  const StoredArray offsets(file_, hdf5_file, name, H5T_STD_I64LE, "i64");
  check_shape(file_, name, offsets.shape(), {rows + 1});
  column.offsets = offsets.read_all<std::int64_t>(file_);
  require(column.offsets.front() == 0 && column.offsets.back() == items &&
              std::ranges::is_sorted(column.offsets),
          file_.path(), ": dataset '", name, "' must rise from 0 to ", items);
  return column;
}

void RecordShard::check_present(const RecordShardInfo& info, std::size_t num_fields) const {
  std::map<FieldSet, std::int64_t> sets;
  for (const FieldSet set : present_) ++sets[set];
  require(sets == info.sets, file_.path(), ": dataset '", kPresent,
          "' differs from the sets of the ", num_fields, " fields in its manifest");
}

void RecordShard::check_lengths(std::size_t field, const std::string& name) const {
  const std::vector<std::int64_t>& offsets = columns_[field].offsets;
  for (std::size_t row = 0; row < present_.size(); ++row)
    require((present_[row] >> field & 1) != 0 || offsets[row] == offsets[row + 1], file_.path(),
            ": dataset '", name, "' gives items to row ", row, ", where the field is absent");
}

std::int64_t RecordShard::length(std::size_t field, std::int64_t row) const {
  const std::vector<std::int64_t>& offsets = columns_.at(field).offsets;
  const auto r = static_cast<std::size_t>(row);
  if (offsets.empty()) return present_.at(r) >> field & 1;
  return offsets.at(r + 1) - offsets.at(r);
}

void RecordShard::read(std::size_t field, std::int64_t first, std::int64_t count,
                       std::span<std::byte> out) const {
  const Column& column = columns_.at(field);
  require(first >= 0 && count >= 0 && first + count <= num_rows(), file_.path(), " has no rows ",
          first, " to ", first + count);
  std::int64_t begin = first, end = first + count;
  if (!column.offsets.empty()) {
    begin = column.offsets[static_cast<std::size_t>(begin)];
    end = column.offsets[static_cast<std::size_t>(end)];
  }
  require(std::ssize(out) == (end - begin) * column.values.row_bytes(), file_.path(), ": row ",
          first, " of field ", field, " has ", (end - begin) * column.values.row_bytes(),
          " bytes, not ", out.size());
  column.values.read(file_, begin, out);
}

void verify_record_shard(const std::string& folder, const RecordShardInfo& info,
                         const std::vector<FieldInfo>& fields) {
  const RecordShard shard(folder, info, fields, true);
  std::vector<std::byte> stored;
  for (std::size_t f = 0; f < fields.size(); ++f) {
    if (fields[f].names.empty()) continue;
    for (std::int64_t row = 0; row < info.rows; ++row) {
      stored.resize(static_cast<std::size_t>(shard.length(f, row) * fields[f].item_bytes()));
      if (stored.empty()) continue;
      shard.read(f, row, 1, stored);
      for (const std::int64_t value : widened(fields[f].type, stored))
        require(0 <= value && value < std::ssize(fields[f].names), shard.path(), ": field '",
                fields[f].name, "' of row ", row, " is ", value, ", which has no name");
    }
  }
}

}  // namespace fusor
