#include "io/record_dataset.h"

#include <algorithm>

#include "io/find_split.h"
#include "runtime/error.h"

namespace fusor {

RecordDataset::RecordDataset(const std::string& folder, const std::string& split,
                             const DatasetOptions& options)
    : folder_(folder), split_(split), manifest_(read_record_manifest(folder)) {
  for (const RecordShardInfo& info : find_split(manifest_, folder, split).shards) {
    shards_.emplace_back(folder, info, manifest_.fields, options.verify_checksums);
    starts_.push_back(starts_.back() + info.rows);
    std::ranges::copy(shards_.back().present(), std::back_inserter(present_));
  }
}

std::size_t RecordDataset::index_of(std::string_view field) const {
  try {
    return manifest_.index_of(field);
  } catch (const Error& error) {
    raise(folder_ + ": " + error.what());
  }
}

std::vector<std::int64_t> RecordDataset::lengths(std::size_t field) const {
  std::vector<std::int64_t> lengths;
  lengths.reserve(present_.size());
  for (const RecordShard& shard : shards_)
    for (std::int64_t row = 0; row < shard.num_rows(); ++row)
      lengths.push_back(shard.length(field, row));
  return lengths;
}

std::vector<std::uint64_t> RecordDataset::groups() const {
  std::vector<std::uint64_t> groups;
  for (const RecordShard& shard : shards_)
    std::ranges::copy(shard.groups(), std::back_inserter(groups));
  return groups;
}

bool RecordDataset::has(std::size_t field, std::int64_t row) const {
  return (present_.at(static_cast<std::size_t>(row)) >> field & 1) != 0;
}

RecordDataset::Place RecordDataset::place_of(std::int64_t row) const {
  require(0 <= row && row < num_rows(), "split '", split_, "' of ", folder_, " has ", num_rows(),
          " rows, no row ", row);
  const auto shard = std::ranges::upper_bound(starts_, row) - starts_.begin() - 1;
  return {static_cast<std::size_t>(shard), row - starts_[static_cast<std::size_t>(shard)]};
}

std::int64_t RecordDataset::length(std::size_t field, std::int64_t row) const {
  const Place place = place_of(row);
  return shards_[place.shard].length(field, place.row);
}

std::int64_t RecordDataset::size(std::size_t field, std::int64_t row) const {
  return length(field, row) * num_elements(manifest_.fields.at(field).shape);
}

void RecordDataset::check_type(std::size_t field, ElementType type) const {
  const FieldInfo& info = manifest_.fields.at(field);
  require(info.type == type, folder_, ": field '", info.name, "' holds ", name_of(info.type),
          ", not ", name_of(type));
}

void RecordDataset::read_stored(std::size_t field, std::int64_t row,
                                std::span<std::byte> out) const {
  const Place place = place_of(row);
  require(has(field, row), folder_, ": row ", row, " of split '", split_, "' has no field '",
          manifest_.fields.at(field).name, "'");
  shards_[place.shard].read(field, place.row, 1, out);
}

void RecordDataset::read_column(std::size_t field, std::span<std::byte> out) const {
  const FieldInfo& info = manifest_.fields.at(field);
  require(!info.ragged && info.shape.empty(), folder_, ": field '", info.name,
          "' is not one number a row");
  for (const RecordShard& shard : shards_) {
    const auto part = out.first(static_cast<std::size_t>(shard.num_rows() * info.item_bytes()));
    shard.read(field, 0, shard.num_rows(), part);
    out = out.subspan(part.size());
  }
}

}  // namespace fusor
