#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_box.h"

namespace fusor {

class SafetensorsFile;
struct CheckpointManifest;
struct CheckpointTensor;

// How much of a checkpoint is looked at before it is trusted.
enum class Verify {
  manifest,   // the manifest, its own checksum, and that the pieces cover every tensor once
  shards,     // also that each shard is there, has its size, and holds the pieces it should
  checksums,  // also every byte of every shard
};

// A saved checkpoint, open for reading from one thread. Every Error is one sentence that names the
// file, and the tensor where there is one.
class Checkpoint {
 public:
  // `path` is a checkpoint's folder, or a run's: then its newest checkpoint is opened. Throws Error
  // when there is none or it is not whole. Ranks that read together open with Verify::manifest and
  // share the rest by verify_shard.
  static Checkpoint open(const std::string& path, Verify verify = Verify::checksums);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::string& folder() const { return folder_; }
  std::int64_t step() const;
  const nlohmann::json& state() const;     // the object given to CheckpointWriter::commit
  std::vector<TensorBox> tensors() const;  // whole ones, sorted by name
  bool contains(const std::string& name) const;
  std::uint64_t num_bytes() const;  // of all shards

  std::size_t num_shards() const;
  const std::string& shard_file(std::size_t shard) const;  // its name in folder()
  void verify_shard(std::size_t shard, Verify verify);

  // Fills `out` (row-major, as many bytes as the box takes) from whatever pieces hold the box's
  // elements. Throws Error when the tensor is missing (naming the nearest), or its dtype or shape
  // differs from the box's (naming both).
  void read(const TensorBox& box, std::span<std::byte> out);

 private:
  Checkpoint(std::string folder, CheckpointManifest manifest);
  const CheckpointTensor* find(const std::string& name) const;
  const CheckpointTensor& at(const TensorBox& box) const;
  const SafetensorsFile& shard(std::size_t index);

  std::string folder_;
  std::unique_ptr<CheckpointManifest> manifest_;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;  // null until first read
};

}  // namespace fusor
