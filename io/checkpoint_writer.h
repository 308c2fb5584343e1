#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "io/checkpoint_folder.h"
#include "io/tensor_box.h"

namespace fusor {

struct CheckpointShard;

// A box of a tensor with its elements: row-major, contiguous, in host memory.
struct TensorSlice {
  TensorBox box;
  std::span<const std::byte> bytes;
};

// Saves a run's checkpoints while the run goes on; one writer per rank. The ranks agree by the
// trainer's own transport:
//
//   start(step, slices)   every rank; returns at once. A thread streams the live tensors to this
//                         rank's shard: they must not change until wait() returns, so the trainer
//                         calls it right before the next update of the weights. Nothing is copied.
//   wait()                every rank, then the ranks tell each other their status
//   commit(...)           every rank, when all are done: rank 0 makes the checkpoint visible
//   discard()             every rank, when any failed: the older checkpoints stay as they were
class CheckpointWriter {
 public:
  enum class Status { idle, writing, done, failed };

  // `checkpoints` is the folder of all steps (RUN/checkpoints), made when missing.
  CheckpointWriter(std::string checkpoints, int rank, int world);
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  ~CheckpointWriter();  // discards a save that was not committed

  // Throws Error when a save is under way, a box lies outside its tensor, or bytes do not fit their
  // box. Between them the ranks' slices must hold every element once. Rank 0 also deletes what
  // killed saves left behind.
  void start(std::int64_t step, std::vector<TensorSlice> slices);

  Status status() const { return status_; }
  std::int64_t step() const { return step_; }  // of the save under way
  // Why the save failed, one sentence ("cannot write PATH: No space left on device"); to be read
  // when status() is failed.
  const std::string& failure() const { return failure_; }

  Status wait();  // until the tensors are no longer read: idle, done or failed

  // Rank 0 checks that the shards cover every tensor, writes the manifest with `state` (a JSON
  // object), renames the folder and deletes what `retention` lets go; the other ranks only forget
  // the save. Idle afterwards, also when it throws: an Error says that the checkpoint could not be
  // published (all of it is deleted then) or that an older one could not be deleted.
  void commit(const nlohmann::json& state, const Retention& retention);

  void discard() noexcept;  // stops the writing and deletes this rank's traces

 private:
  void run();
  CheckpointShard write_shard();
  void write_sidecar(CheckpointShard shard);
  void publish(const nlohmann::json& state);
  std::string shard_file(int rank) const;    // shard-00000-of-00002.safetensors
  std::string sidecar_file(int rank) const;  // the rank's part of the manifest, until the commit

  const std::string checkpoints_;
  const int rank_, world_;
  std::int64_t step_ = 0;
  std::string folder_;  // step-*.tmp
  std::vector<TensorSlice> slices_;
  std::vector<std::size_t> order_;  // of slices_ in the shard; empty slices are not in it
  std::string head_;                // the shard's bytes before the first tensor
  std::string failure_;             // written by the thread before it sets status_
  std::atomic<Status> status_ = Status::idle;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace fusor
