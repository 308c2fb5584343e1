#pragma once
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/checkpoint_writer.h"
#include "runtime/error.h"

namespace fusor {

// Bytes of a whole tensor, each of them told by its place and the tensor's name and seed.
inline std::vector<std::byte> tensor_bytes(const TensorBox& whole, std::uint64_t seed) {
  std::vector<std::byte> bytes(num_elements(whole.global) * size_of(whole.dtype));
  std::uint64_t x = seed * 977 + std::hash<std::string>()(whole.name);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>((x = x * 6364136223846793005u + 1) >> 56);
  return bytes;
}

// The bytes of a part, cut out element by element: the reference for runs and reads.
inline std::vector<std::byte> cut_out(const TensorBox& part, const std::vector<std::byte>& whole) {
  const std::size_t width = size_of(part.dtype);
  std::vector<std::byte> bytes(num_elements(part.shape) * width);
  for (std::int64_t i = 0; i < num_elements(part.shape); ++i) {
    std::int64_t rest = i, from = 0, stride = 1;
    for (std::size_t d = part.shape.size(); d-- > 0; rest /= part.shape[d]) {
      from += (part.begin[d] + rest % part.shape[d]) * stride;
      stride *= part.global[d];
    }
    std::memcpy(bytes.data() + i * width, whole.data() + from * width, width);
  }
  return bytes;
}

// Part `rank` of `world` of a tensor along a dim, as even as it goes.
inline TensorBox part_of(TensorBox whole, std::size_t dim, int rank, int world) {
  const std::int64_t extent = whole.global[dim];
  whole.begin[dim] = extent * rank / world;
  whole.shape[dim] = extent * (rank + 1) / world - whole.begin[dim];
  return whole;
}

// A model's worth of tensors, the writers of a number of ranks, and who holds what: tensors with
// two dims or more are cut along the second when their name says "column", else along the first;
// scalars and empty tensors are rank 0's.
struct SavingRanks {
  SavingRanks(const std::string& checkpoints, int world) {
    for (int rank = 0; rank < world; ++rank)
      writers.push_back(std::make_unique<CheckpointWriter>(checkpoints, rank, world));
  }

  void start(std::int64_t step, const std::vector<TensorBox>& tensors) {
    const int world = static_cast<int>(writers.size());
    for (int rank = 0; rank < world; ++rank) {
      std::vector<TensorSlice> slices;
      for (const TensorBox& whole : tensors) {
        const std::size_t dim = whole.name.find("column") == std::string::npos ? 0 : 1;
        if (num_elements(whole.global) == 1 || num_elements(whole.global) == 0) {
          if (rank != 0) continue;
          slices.push_back({whole, {}});
        } else {
          slices.push_back({part_of(whole, dim, rank, world), {}});
        }
        held.push_back(cut_out(slices.back().box, tensor_bytes(whole, step)));
        slices.back().bytes = held.back();
      }
      writers[rank]->start(step, std::move(slices));
    }
  }

  bool all_done() {
    bool done = true;
    for (auto& writer : writers) done &= writer->wait() == CheckpointWriter::Status::done;
    return done;
  }

  void commit(const Retention& retention = {}) {
    for (auto& writer : writers)
      writer->commit({{"step", writer->step()}, {"recipe", "[model]\nlayers = 2\n"}}, retention);
  }

  void save(std::int64_t step, const std::vector<TensorBox>& tensors,
            const Retention& retention = {}) {
    start(step, tensors);
    require(all_done(), "a save failed");
    commit(retention);
  }

  std::vector<std::unique_ptr<CheckpointWriter>> writers;
  std::deque<std::vector<std::byte>> held;  // what the slices point at
};

inline std::vector<TensorBox> small_model() {
  return {whole_tensor("weights/rows", DType::f32, {10, 6}),
          whole_tensor("weights/columns", DType::bf16, {5, 7}),
          whole_tensor("adam.m/blocks.0.column", DType::f64, {3, 8, 2}),
          whole_tensor("step", DType::i64, {}),
          whole_tensor("few", DType::u8, {3}),  // fewer elements than ranks
          whole_tensor("none", DType::f32, {0, 4})};
}

}  // namespace fusor
