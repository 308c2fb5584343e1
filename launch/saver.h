#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/checkpoint_writer.h"
#include "launch/config.h"
#include "launch/host_room.h"
#include "parallel/parameter_store.h"
#include "runtime/world.h"

namespace fusor {

// Saves a run's checkpoints across its ranks. Each writes what it answers for (copies share that
// out) while the next step's forward and backward run: from the live memory where the host can read
// it, else from a copy.
class Saver {
 public:
  // Throws Error where the host lacks the memory for a copy.
  Saver(std::vector<ParameterStore*> stores, const World& world, const std::string& run_folder,
        const CheckpointConfig& config);

  // Begins to save what the parameters hold now: the run after `step` steps. `state` goes into the
  // manifest. Throws Error if a save is under way.
  void start(std::int64_t step, nlohmann::json state);
  // Before the weights change: waits until they have been read. Returns this rank's word for
  // settle(): 0 nothing under way, 1 done, 2 failed.
  int before_update();
  struct Outcome {
    bool saved = true;  // or nothing was under way; a failure to publish is rank 0's alone to see
    std::string text;   // what there is to tell a person, or nothing
  };
  // With every rank's word: makes the checkpoint visible, or forgets it if any rank failed; the
  // older ones stand then.
  Outcome settle(const std::vector<int>& words);
  // At the end of the run: before_update() and settle() with a gather of their own. Collective.
  Outcome finish();

 private:
  std::string failure_of_ranks();
  std::vector<StateBox> share() const;

  std::vector<ParameterStore*> stores_;  // this rank's
  const World& world_;
  CheckpointConfig config_;
  HostRoom room_;  // for the copy
  CheckpointWriter writer_;
  nlohmann::json state_;
};

// Opens the checkpoint in `path` (a step's folder, or a run's: the newest). Each rank verifies its
// share of the shards; throws Error on the one that meets a fault.
Checkpoint open_shared(const std::string& path, const World& world);

// Reads what this rank keeps of master weights and optimizer state, saved under any layout. Then
// ParameterStore::publish() makes the weights of all ranks follow.
void read_checkpoint(Checkpoint& checkpoint, const std::vector<ParameterStore*>& stores);

}  // namespace fusor
