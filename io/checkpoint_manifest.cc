#include "io/checkpoint_manifest.h"

#include <algorithm>
#include <map>
#include <utility>

#include "io/checksum.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "runtime/error.h"

namespace fusor {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "fusor-checkpoint-1";
constexpr std::string_view kChecksumKey = ",\n\"xxh3\":\"";
constexpr std::size_t kTailBytes = kChecksumKey.size() + 16 + 2;  // ... 16 digits, "}

const std::vector<std::int64_t>& as_vector(const Shape& shape) { return shape; }

json to_json(const CheckpointShard& shard) {
  return {{"file", shard.file}, {"bytes", shard.bytes}, {"xxh3", checksum_text(shard.checksum)}};
}

json to_json(const CheckpointTensor& tensor) {
  json pieces = json::array();
  for (const CheckpointPiece& piece : tensor.pieces)
    pieces.push_back({{"shard", piece.shard},
                      {"key", piece.key},
                      {"begin", as_vector(piece.begin)},
                      {"shape", as_vector(piece.shape)}});
  return {{"name", tensor.name},
          {"dtype", safetensors_name(tensor.dtype)},
          {"shape", as_vector(tensor.shape)},
          {"pieces", std::move(pieces)}};
}

template <class T>
std::string json_lines(const std::vector<T>& items) {
  std::string text = "[";
  for (const T& item : items) text += (&item == items.data() ? "\n" : ",\n") + to_json(item).dump();
  return text + ']';
}

CheckpointShard read_shard(const JsonObject& entry) {
  entry.allow_only({"file", "bytes", "xxh3"});
  CheckpointShard shard{entry.text("file"), static_cast<std::uint64_t>(entry.count("bytes")),
                        entry.checksum("xxh3")};
  require(!shard.file.empty() && shard.file.find('/') == std::string::npos, entry.name_of("file"),
          " must name a file in the checkpoint's folder");
  return shard;
}

CheckpointPiece read_piece(const JsonObject& entry, const CheckpointTensor& tensor,
                           std::size_t num_shards) {
  entry.allow_only({"shard", "key", "begin", "shape"});
  CheckpointPiece piece{static_cast<std::size_t>(entry.count("shard")), entry.text("key"),
                        entry.counts("begin"), entry.counts("shape")};
  require(piece.shard < num_shards, entry.name_of("shard"), " is ", piece.shard, " of ",
          num_shards);
  try {
    check_box({tensor.name, tensor.dtype, tensor.shape, piece.begin, piece.shape});
  } catch (const Error& error) {
    raise(entry.name_of("shape") + ": " + error.what());
  }
  require(num_elements(piece.shape) > 0, entry.name_of("shape"), " is empty");
  return piece;
}

CheckpointTensor read_tensor(const JsonObject& entry, std::size_t num_shards) {
  entry.allow_only({"name", "dtype", "shape", "pieces"});
  CheckpointTensor tensor{entry.text("name"),
                          parse_safetensors_dtype(entry.text("dtype"), entry.name_of("dtype")),
                          entry.counts("shape"),
                          {}};
  num_bytes(tensor.dtype, tensor.shape, entry.name_of("shape"));  // refuses what cannot exist
  for (const JsonObject& piece : entry.objects("pieces"))
    tensor.pieces.push_back(read_piece(piece, tensor, num_shards));
  return tensor;
}

void check_tensor_cover(const CheckpointTensor& tensor, const std::string& file) {
  std::vector<const CheckpointPiece*> pieces;
  for (const CheckpointPiece& piece : tensor.pieces) pieces.push_back(&piece);
  std::ranges::sort(pieces, {}, [](const CheckpointPiece* p) { return as_vector(p->begin); });
  const auto first_dim_ends = [](const CheckpointPiece& p) {
    return p.begin.empty() ? 1 : p.begin[0] + p.shape[0];
  };
  std::int64_t covered = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const CheckpointPiece& a = *pieces[i];
    covered += num_elements(a.shape);
    for (std::size_t j = i + 1; j < pieces.size(); ++j) {
      const CheckpointPiece& b = *pieces[j];
      if (!b.begin.empty() && b.begin[0] >= first_dim_ends(a)) break;  // sorted by first dim
      require(!overlap(a.begin, a.shape, b.begin, b.shape), file, ": the pieces ", a.key, " and ",
              b.key, " of tensor \"", tensor.name, "\" overlap");
    }
  }
  require(covered == num_elements(tensor.shape), file, ": the pieces of tensor \"", tensor.name,
          "\" hold ", covered, " elements of ", num_elements(tensor.shape));
}

}  // namespace

std::string to_text(const CheckpointManifest& manifest) try {
  std::string text =
      "{\"format\":\"" + std::string(kFormat) + "\",\"step\":" + std::to_string(manifest.step) +
      ",\n\"state\":" + manifest.state.dump() + ",\n\"shards\":" + json_lines(manifest.shards) +
      ",\n\"tensors\":" + json_lines(manifest.tensors);
  return text + std::string(kChecksumKey) + checksum_text(checksum(text.data(), text.size())) +
         "\"}";
} catch (const json::type_error&) {
  raise("checkpoint: its state or a tensor's name holds text that is not UTF-8");
}

CheckpointManifest parse_checkpoint_manifest(std::string_view text, const std::string& file) {
  require(text.size() > kTailBytes && text.ends_with("\"}") &&
              text.substr(text.size() - kTailBytes).starts_with(kChecksumKey),
          file, " is cut short or is no manifest: it does not end in its checksum");
  const json parsed = parse_json(text, file);
  const JsonObject root(parsed, file);
  const std::size_t body = text.size() - kTailBytes;
  require(root.text("xxh3") == checksum_text(checksum(text.data(), body)), file,
          " is damaged: its checksum does not match what it holds");
  require(root.text("format") == kFormat, root.name_of("format"), " is '", root.text("format"),
          "', but this program reads '", kFormat, "'");
  root.allow_only({"format", "step", "state", "shards", "tensors", "xxh3"});
  root.object("state");
  CheckpointManifest manifest{root.count("step"), parsed["state"], {}, {}};
  for (const JsonObject& shard : root.objects("shards"))
    manifest.shards.push_back(read_shard(shard));
  for (const JsonObject& tensor : root.objects("tensors"))
    manifest.tensors.push_back(read_tensor(tensor, manifest.shards.size()));
  const auto unsorted =
      std::ranges::adjacent_find(manifest.tensors, std::greater_equal(), &CheckpointTensor::name);
  require(unsorted == manifest.tensors.end(), file,
          ": the tensors are not in the order of their names");
  return manifest;
}

CheckpointManifest merge(std::vector<CheckpointManifest> ranks) {
  CheckpointManifest all;
  std::map<std::string, CheckpointTensor> tensors;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    CheckpointManifest& part = ranks[rank];
    if (rank == 0) all.step = part.step;
    require(all.step == part.step, "checkpoint: rank ", rank, " wrote step ", part.step,
            " and rank 0 step ", all.step);
    for (CheckpointTensor& tensor : part.tensors) {
      CheckpointTensor& known =
          tensors
              .try_emplace(tensor.name,
                           CheckpointTensor{tensor.name, tensor.dtype, tensor.shape, {}})
              .first->second;
      require(known.dtype == tensor.dtype && known.shape == tensor.shape, "checkpoint: tensor \"",
              tensor.name, "\" is ", tensor.dtype, ' ', tensor.shape, " on rank ", rank, " and ",
              known.dtype, ' ', known.shape, " on another");
      for (CheckpointPiece& piece : tensor.pieces) {
        piece.shard += all.shards.size();
        known.pieces.push_back(std::move(piece));
      }
    }
    std::ranges::move(part.shards, std::back_inserter(all.shards));
  }
  for (auto& [name, tensor] : tensors) all.tensors.push_back(std::move(tensor));
  return all;
}

void check_cover(const CheckpointManifest& manifest, const std::string& file) {
  for (const CheckpointTensor& tensor : manifest.tensors) check_tensor_cover(tensor, file);
}

}  // namespace fusor
