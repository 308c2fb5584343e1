#include "io/checkpoint.h"

#include <algorithm>
#include <utility>

#include "io/checkpoint_folder.h"
#include "io/checkpoint_manifest.h"
#include "io/checksum.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

constexpr std::uint64_t kMaxManifest = std::uint64_t{1} << 32;  // bytes

// The tensor of a shard that holds a piece; the shard must agree with the manifest about it.
const SafetensorsEntry& entry_of(const SafetensorsFile& file, const CheckpointTensor& tensor,
                                 const CheckpointPiece& piece) {
  const SafetensorsEntry& entry = file.at(piece.key);
  require(entry.dtype == tensor.dtype && entry.shape == piece.shape, file.path(), ": tensor \"",
          piece.key, "\" is ", entry.dtype, ' ', entry.shape, ", but the manifest says ",
          tensor.dtype, ' ', piece.shape);
  return entry;
}

}  // namespace

Checkpoint Checkpoint::open(const std::string& path, Verify verify) {
  const std::string folder = find_checkpoint(path);
  const std::string file = folder + '/' + std::string(kCheckpointManifest);
  CheckpointManifest manifest = parse_checkpoint_manifest(read_text_file(file, kMaxManifest), file);
  check_cover(manifest, file);
  Checkpoint checkpoint(folder, std::move(manifest));
  for (std::size_t i = 0; verify != Verify::manifest && i < checkpoint.num_shards(); ++i)
    checkpoint.verify_shard(i, verify);
  return checkpoint;
}

Checkpoint::Checkpoint(std::string folder, CheckpointManifest manifest)
    : folder_(std::move(folder)),
      manifest_(std::make_unique<CheckpointManifest>(std::move(manifest))),
      shards_(manifest_->shards.size()) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

std::int64_t Checkpoint::step() const { return manifest_->step; }

const nlohmann::json& Checkpoint::state() const { return manifest_->state; }

std::vector<TensorBox> Checkpoint::tensors() const {
  std::vector<TensorBox> boxes;
  for (const CheckpointTensor& tensor : manifest_->tensors)
    boxes.push_back(whole_tensor(tensor.name, tensor.dtype, tensor.shape));
  return boxes;
}

std::uint64_t Checkpoint::num_bytes() const {
  std::uint64_t bytes = 0;
  for (const CheckpointShard& shard : manifest_->shards) bytes += shard.bytes;
  return bytes;
}

std::size_t Checkpoint::num_shards() const { return shards_.size(); }

const std::string& Checkpoint::shard_file(std::size_t shard) const {
  return manifest_->shards.at(shard).file;
}

void Checkpoint::verify_shard(std::size_t index, Verify verify) {
  if (verify == Verify::manifest) return;
  const SafetensorsFile& file = shard(index);
  for (const CheckpointTensor& tensor : manifest_->tensors)
    for (const CheckpointPiece& piece : tensor.pieces)
      if (piece.shard == index) entry_of(file, tensor, piece);
  if (verify == Verify::shards) return;
  const std::uint64_t expected = manifest_->shards[index].checksum;
  const std::uint64_t found = checksum_file(file.path());
  require(found == expected, file.path(), " is damaged: its checksum is ", checksum_text(found),
          ", the manifest has ", checksum_text(expected));
}

const SafetensorsFile& Checkpoint::shard(std::size_t index) {
  std::unique_ptr<SafetensorsFile>& file = shards_.at(index);
  if (file) return *file;
  const CheckpointShard& expected = manifest_->shards[index];
  const std::string path = folder_ + '/' + expected.file;
  const std::uint64_t size = File(path).size();
  require(size == expected.bytes, path, size < expected.bytes ? " is truncated: it has " : " has ",
          size, " bytes, the manifest says ", expected.bytes);
  file = std::make_unique<SafetensorsFile>(path);
  return *file;
}

const CheckpointTensor* Checkpoint::find(const std::string& name) const {
  const auto found =
      std::ranges::lower_bound(manifest_->tensors, name, {}, &CheckpointTensor::name);
  return found == manifest_->tensors.end() || found->name != name ? nullptr : &*found;
}

bool Checkpoint::contains(const std::string& name) const { return find(name) != nullptr; }

const CheckpointTensor& Checkpoint::at(const TensorBox& box) const {
  const CheckpointTensor* tensor = find(box.name);
  if (!tensor) {
    std::vector<std::string> names;
    for (const CheckpointTensor& other : manifest_->tensors) names.push_back(other.name);
    raise(folder_ + " has no tensor \"" + box.name + '"' + did_you_mean(box.name, names));
  }
  require(tensor->shape == box.global, folder_, ": tensor \"", box.name, "\" has the shape ",
          tensor->shape, ", this run's has ", box.global);
  require(tensor->dtype == box.dtype, folder_, ": tensor \"", box.name, "\" is ", tensor->dtype,
          ", this run's is ", box.dtype);
  return *tensor;
}

void Checkpoint::read(const TensorBox& box, std::span<std::byte> out) {
  const CheckpointTensor& tensor = at(box);
  check_box(box);
  const std::uint64_t bytes = fusor::num_bytes(box.dtype, box.shape, text_of(box));
  require(out.size() == bytes, folder_, ": ", text_of(box), " takes ", bytes, " bytes, not ",
          out.size());
  const auto width = static_cast<std::int64_t>(size_of(box.dtype));
  for (const CheckpointPiece& piece : tensor.pieces) {
    if (!overlap(piece.begin, piece.shape, box.begin, box.shape)) continue;
    const SafetensorsFile& file = shard(piece.shard);
    const SafetensorsEntry& entry = entry_of(file, tensor, piece);
    for_each_common_run(piece.begin, piece.shape, box.begin, box.shape,
                        [&](std::int64_t from, std::int64_t to, std::int64_t count) {
                          file.read(entry, from * width, out.subspan(to * width, count * width));
                        });
  }
}

}  // namespace fusor
