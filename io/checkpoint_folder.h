#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Where a run's checkpoints lie and which of them stay:
//
//   RUN/checkpoints/step-00000100/       a whole checkpoint: shards and manifest.json
//   RUN/checkpoints/step-00000200.tmp/   being written, or left by a run that was killed
//   RUN/checkpoints/step-00000300.aside/ of a future that the run has turned away from
//
// A folder gets its plain name by one rename after all in it is on the disk, and loses it by one
// rename before it is deleted: what has a plain name is whole.
namespace fusor {

inline constexpr std::string_view kCheckpointManifest = "manifest.json";

std::string step_folder(const std::string& checkpoints, std::int64_t step);
std::string temporary_step_folder(const std::string& checkpoints, std::int64_t step);

// The steps with a folder of plain name, ascending; empty when there is no such place.
std::vector<std::int64_t> saved_steps(const std::string& checkpoints);

struct Retention {
  std::int64_t keep_last = 0;   // the newest so many stay; 0: all stay
  std::int64_t keep_every = 0;  // so do, for ever, the steps it divides; 0: none
};

// The steps that may go; `steps` ascending.
std::vector<std::int64_t> steps_to_delete(const std::vector<std::int64_t>& steps,
                                          const Retention& retention);

// Gives the temporary folder of a step its plain name; a checkpoint that has it already is deleted.
void publish_step(const std::string& checkpoints, std::int64_t step);

void delete_step(const std::string& checkpoints, std::int64_t step);

// Deletes the *.tmp folders that killed saves and deletions left, except `kept` (a path).
void delete_leftovers(const std::string& checkpoints, const std::string& kept = "");

// For a run that goes on from `step` though later checkpoints exist: renames those to *.aside, so
// that neither "the newest" nor keep_last counts them. They are never deleted by Fusor.
void set_aside_after(const std::string& checkpoints, std::int64_t step);

// Names of all step-* folders of a run (or of its checkpoints folder), *.tmp and *.aside too,
// sorted, each with the path in front; `path` alone when it holds a manifest.
std::vector<std::string> all_step_folders(const std::string& path);

// `path` itself when it holds a manifest, else the newest step of RUN or of RUN/checkpoints.
// Throws Error when there is none.
std::string find_checkpoint(const std::string& path);

}  // namespace fusor
