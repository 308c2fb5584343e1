#pragma once
#include <cstdint>
#include <string>

#include "io/bad_samples.h"
#include "io/dataset_folder.h"
#include "io/record_manifest.h"

namespace fusor {

struct PairBuildConfig {
  // A .csv file (io/csv.h) with one or more of the columns image and sound, which are paths from
  // the file's folder on, text and label; it may have group and split (train, val, test). A field
  // that is empty in a row is not there.
  std::string input{};
  std::string output{};          // a folder that does not exist yet
  std::int64_t image_size = 64;  // images become pixels, scaled to this size both ways
  std::int64_t channels = 3;     // 1 or 3
  std::int64_t rate = 16000;     // samples a second of the sounds
  double most_seconds = 30;      // a longer sound is bad
  std::string vocab{};           // a vocab.txt; without: texts as bytes alone
  bool lower_case = true;        // of the vocabulary
  bool equal_texts_together = true;
  HeldOutShares held_out{.val = 0.1};
  std::uint64_t split_seed = 0;
  std::int64_t shard_bytes = std::int64_t{128} << 20;
  OnBadSample on_bad_sample = OnBadSample::fail;
  int num_threads = 1;
};

struct PairBuildReport {
  RecordManifest manifest;
  BadSamples bad;  // rows
};

// Packs rows that hold any of image, sound, text and label into a dataset of records with these
// fields, those that the input has a column for:
//   image   u8 [size, size, channels]
//   sound   i16, of any length: PCM of one channel; attribute sample_rate
//   text    u8, of any length: UTF-8
//   tokens  u16 or i32, of any length: the text's word pieces, where there is a vocabulary
//   label   i32, names in the order of their bytes
// Rows of one group, and rows that share an equal image, sound or text, are never on two sides of a
// split that is drawn. Bad is a row with a file that cannot be read (see decode_image,
// training_pcm), a text that is not UTF-8 or has no word, or nothing but a label. Throws Error for
// the first unless bad rows are skipped.
PairBuildReport build_pair_dataset(const PairBuildConfig& config);

}  // namespace fusor
