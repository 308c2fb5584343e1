#include "io/checkpoint_writer.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "io/checkpoint_manifest.h"
#include "io/checksum.h"
#include "io/output_file.h"
#include "io/safetensors.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 4 << 20;                        // bytes between two looks at stop_
constexpr std::uint64_t kMaxSidecar = std::uint64_t{1} << 32;  // bytes

void check_slice(const TensorSlice& slice) {
  check_box(slice.box);
  const std::uint64_t expected =
      num_bytes(slice.box.dtype, slice.box.shape, "tensor \"" + slice.box.name + '"');
  require(slice.bytes.size() == expected, "checkpoint: ", slice.bytes.size(), " bytes given for ",
          text_of(slice.box), ", whose ", slice.box.dtype, ' ', slice.box.shape, " takes ",
          expected);
}

// A sidecar, or a shard of a killed save by another number of ranks, has no place in a checkpoint.
void delete_all_but(const std::set<std::string>& kept, const std::string& folder) {
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(folder))
    if (!kept.contains(entry.path().filename().string())) doomed.push_back(entry.path());
  for (const fs::path& path : doomed) fs::remove_all(path);
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::string checkpoints, int rank, int world)
    : checkpoints_(std::move(checkpoints)), rank_(rank), world_(world) {
  require(rank >= 0 && rank < world, "checkpoint: there is no rank ", rank, " of ", world);
}

CheckpointWriter::~CheckpointWriter() { discard(); }

std::string CheckpointWriter::shard_file(int rank) const {
  char name[64];
  std::snprintf(name, sizeof name, "shard-%05d-of-%05d.safetensors", rank, world_);
  return name;
}

std::string CheckpointWriter::sidecar_file(int rank) const { return shard_file(rank) + ".json"; }

void CheckpointWriter::start(std::int64_t step, std::vector<TensorSlice> slices) {
  require(status_ == Status::idle, "checkpoint: a save of step ", step_, " is under way");
  require(step >= 0, "checkpoint: there is no step ", step);
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::size_t> by_key;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    check_slice(slices[i]);
    if (slices[i].bytes.empty()) continue;  // only the tensor's name and shape are kept
    const std::string key = text_of(slices[i].box);
    require(by_key.emplace(key, i).second, "checkpoint: ", key, " is given twice");
    entries.push_back({key, slices[i].box.dtype, slices[i].box.shape});
  }
  head_ = layout_safetensors(entries);
  order_.clear();
  for (const SafetensorsEntry& entry : entries) order_.push_back(by_key.at(entry.name));
  slices_ = std::move(slices);
  step_ = step;
  folder_ = temporary_step_folder(checkpoints_, step);
  failure_.clear();
  stop_ = false;
  status_ = Status::writing;
  thread_ = std::thread(&CheckpointWriter::run, this);
}

void CheckpointWriter::run() {
  try {
    fs::create_directories(folder_);
    if (rank_ == 0) delete_leftovers(checkpoints_, folder_);
    write_sidecar(write_shard());
    status_ = Status::done;
  } catch (const fs::filesystem_error& error) {
    failure_ = "cannot create " + folder_ + ": " + error.code().message();
    status_ = Status::failed;
  } catch (const std::exception& error) {
    failure_ = error.what();
    status_ = Status::failed;
  }
}

CheckpointShard CheckpointWriter::write_shard() {
  OutputFile file(folder_ + '/' + shard_file(rank_));
  ChecksumStream sum;
  const auto write = [&](std::span<const std::byte> bytes) {
    sum.update(bytes);
    file.write(bytes);
  };
  write(std::as_bytes(std::span(head_)));
  for (const std::size_t i : order_) {
    std::span<const std::byte> rest = slices_[i].bytes;
    while (!rest.empty()) {
      require(!stop_, "the save was stopped");
      write(rest.first(std::min(rest.size(), kBlock)));
      rest = rest.subspan(std::min(rest.size(), kBlock));
    }
  }
  const std::uint64_t bytes = file.size();
  file.finish();
  return {shard_file(rank_), bytes, sum.value()};
}

void CheckpointWriter::write_sidecar(CheckpointShard shard) {
  CheckpointManifest part;
  part.step = step_;
  part.shards.push_back(std::move(shard));
  std::map<std::string, CheckpointTensor> tensors;
  for (const TensorSlice& slice : slices_) {
    const TensorBox& box = slice.box;
    CheckpointTensor& tensor =
        tensors.try_emplace(box.name, CheckpointTensor{box.name, box.dtype, box.global, {}})
            .first->second;
    require(tensor.dtype == box.dtype && tensor.shape == box.global, "checkpoint: tensor \"",
            box.name, "\" is given as ", tensor.dtype, ' ', tensor.shape, " and as ", box.dtype,
            ' ', box.global);
    if (!slice.bytes.empty()) tensor.pieces.push_back({0, text_of(box), box.begin, box.shape});
  }
  for (auto& [name, tensor] : tensors) part.tensors.push_back(std::move(tensor));
  write_text_file(folder_ + '/' + sidecar_file(rank_), to_text(part));
  sync_to_disk(folder_);
}

CheckpointWriter::Status CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
  return status_;
}

void CheckpointWriter::commit(const nlohmann::json& state, const Retention& retention) {
  require(wait() == Status::done, "checkpoint: step ", step_, " was not saved: ", failure_);
  status_ = Status::idle;
  if (rank_ != 0) return;
  try {
    publish(state);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    throw;
  }
  for (const std::int64_t step : steps_to_delete(saved_steps(checkpoints_), retention))
    delete_step(checkpoints_, step);
}

void CheckpointWriter::publish(const nlohmann::json& state) {
  std::vector<CheckpointManifest> ranks;
  for (int rank = 0; rank < world_; ++rank) {
    const std::string sidecar = folder_ + '/' + sidecar_file(rank);
    ranks.push_back(parse_checkpoint_manifest(read_text_file(sidecar, kMaxSidecar), sidecar));
  }
  CheckpointManifest manifest = merge(std::move(ranks));
  manifest.state = state;
  check_cover(manifest, folder_);
  const std::string manifest_file = folder_ + '/' + std::string(kCheckpointManifest);
  write_text_file(manifest_file, to_text(manifest));
  std::set<std::string> kept{std::string(kCheckpointManifest)};
  for (const CheckpointShard& shard : manifest.shards) kept.insert(shard.file);
  delete_all_but(kept, folder_);
  sync_to_disk(folder_);
  publish_step(checkpoints_, step_);
}

void CheckpointWriter::discard() noexcept {
  stop_ = true;
  if (wait() == Status::idle) return;
  // Each rank deletes its own; the folder goes with the last, and what others still hold keeps it.
  std::error_code ignored;
  fs::remove(folder_ + '/' + shard_file(rank_), ignored);
  fs::remove(folder_ + '/' + sidecar_file(rank_), ignored);
  fs::remove(folder_, ignored);
  status_ = Status::idle;
}

}  // namespace fusor
