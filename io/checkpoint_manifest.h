#pragma once
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensor_box.h"

// manifest.json of a checkpoint: one JSON object, a line per shard and per tensor, that ends in its
// own checksum, so that a manifest cut short or changed anywhere is refused.
//
//   {"format":"fusor-checkpoint-1","step":100,
//   "state":{...},
//   "shards":[
//   {"bytes":4096,"file":"shard-00000-of-00002.safetensors","xxh3":"..."}, ...],
//   "tensors":[
//   {"dtype":"F32","name":"weights/w","pieces":[{"begin":[0,0],"key":"weights/w[0:2, 0:8]",
//    "shape":[2,8],"shard":0}, ...],"shape":[4,8]}, ...],
//   "xxh3":"checksum of all bytes before this line's comma"}
namespace fusor {

struct CheckpointShard {
  std::string file;  // in the manifest's folder
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;  // of the whole file
};

// A box of a tensor: tensor `key` of a shard.
struct CheckpointPiece {
  std::size_t shard = 0;  // place in CheckpointManifest::shards
  std::string key;
  Shape begin;
  Shape shape;
};

struct CheckpointTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::vector<CheckpointPiece> pieces;  // disjoint, none empty, together the whole tensor
};

struct CheckpointManifest {
  std::int64_t step = 0;
  nlohmann::json state = nlohmann::json::object();  // the trainer's own
  std::vector<CheckpointShard> shards;
  std::vector<CheckpointTensor> tensors;  // sorted by name
};

std::string to_text(const CheckpointManifest& manifest);

// Throws Error naming `file` unless the text is a manifest and its checksum is right. What it says
// of tensors is not judged yet: see check_cover.
CheckpointManifest parse_checkpoint_manifest(std::string_view text, const std::string& file);

// One manifest of what all ranks wrote. Throws Error when they disagree about a tensor or the step.
CheckpointManifest merge(std::vector<CheckpointManifest> ranks);

// Throws Error naming `file` and a tensor unless every tensor's pieces cover it exactly once.
void check_cover(const CheckpointManifest& manifest, const std::string& file);

}  // namespace fusor
