#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/bad_samples.h"
#include "io/dataset_folder.h"
#include "io/record_manifest.h"
#include "io/transcript.h"

namespace fusor {

struct SpeechBuildConfig {
  // A folder, where beside each sound lies its text (a/b.ogg, a/b.txt) and a sound's group is the
  // folder it lies in; or a .csv file (io/csv.h) with the columns path, text and, if sounds form
  // groups, group. Paths begin in that file's folder.
  std::string input{};
  std::string output{};       // a folder that does not exist yet
  std::int64_t rate = 16000;  // samples a second of what is stored
  TextUnits units = TextUnits::characters;
  bool letters_only = false;           // see normalized_transcript
  bool drop_seen_texts = false;        // held-out sounds whose text is one of the training split's
  double most_seconds = 30;            // a longer sound is bad
  HeldOutShares held_out{.val = 0.1};  // of the groups
  std::uint64_t split_seed = 0;
  std::int64_t shard_bytes = std::int64_t{128} << 20;
  OnBadSample on_bad_sample = OnBadSample::fail;
};

struct SpeechBuildReport {
  RecordManifest manifest;
  double seconds = 0;                // of sound in all
  std::int64_t num_seen = 0;         // held-out sounds that were dropped
  std::vector<std::string> skipped;  // what was wrong with each bad sample
};

// Packs sounds and what is said in them into a dataset of records:
//   sound   i16, of any length: PCM of one channel; attribute sample_rate
//   labels  i32, of any length: names are Labels of the training split's texts; attribute units
//   text    u8, of any length: the normalised text, UTF-8
// A group lies in one split, a function of its name and the seed. Bad is a sound that cannot be
// read, is truncated, silent (never above -80 dB of full scale), shorter than 25 ms or too long,
// and a text that is missing, empty or not UTF-8. Throws Error for the first where bad samples are
// errors, where the output exists, or the input holds no sound.
SpeechBuildReport build_speech_dataset(const SpeechBuildConfig& config);

}  // namespace fusor
