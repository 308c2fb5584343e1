#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/bad_samples.h"
#include "io/dataset_folder.h"
#include "io/record_manifest.h"

namespace fusor {

struct DocumentBuildConfig {
  // Tables (io/csv.h) whose first row names the columns "label" and "text", and may name
  // "group"; and folders that hold a folder of files for each label.
  std::vector<std::string> inputs{};
  std::string output{};  // a folder that does not exist yet
  std::string vocab{};   // a vocab.txt
  bool lower_case = true;
  HeldOutShares held_out{.val = 0.1};
  std::uint64_t split_seed = 0;
  std::int64_t shard_bytes = std::int64_t{128} << 20;
  OnBadSample on_bad_sample = OnBadSample::fail;
};

struct DocumentBuildReport {
  RecordManifest manifest{};
  BadSamples bad;  // documents without a word or a label, or that are not UTF-8
};

// Packs labelled documents into a dataset of records (io/record_manifest.h) with the fields
//   tokens  of any length, u16 or i32: the word pieces, without [CLS] and [SEP], with the
//           attributes of io/stored_vocab.h
//   label   i32, its names in the order of their bytes
// Documents of one group, and equal ones without a group, fall on the same side of a split. Throws
// Error when an input cannot be read, the output exists, or there are fewer than two labels.
DocumentBuildReport build_document_dataset(const DocumentBuildConfig& config);

}  // namespace fusor
