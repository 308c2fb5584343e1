#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/bad_samples.h"
#include "io/manifest.h"

namespace fusor {

struct TextBuildConfig {
  std::vector<std::string> inputs{};  // files, and folders that are searched for files
  std::string output{};               // a folder that does not exist yet
  std::string separator = "\n\n";     // ends a document; empty: each file is one document
  std::string vocab{};                // a vocab.txt: tokens are its word pieces; empty: bytes
  bool lower_case = true;             // of a vocabulary that is "uncased"
  double val_fraction = 0.1;          // of the documents, in [0, 1)
  std::uint64_t split_seed = 0;
  std::int64_t shard_bytes = std::int64_t{128} << 20;  // of tokens; a longer document is not cut
  int num_threads = 1;                                 // that cut words into pieces
  OnBadSample on_bad_sample = OnBadSample::fail;       // a document that is not UTF-8
};

struct TextBuildReport {
  Manifest manifest{};
  std::int64_t num_files = 0;
  std::int64_t num_empty = 0;  // documents of no byte but the separator, or of no word: dropped
  BadSamples bad;              // documents, of word pieces alone: any byte is a token
};

// Packs raw text into a dataset of tokens: the input's bytes as they are, each document with the
// separator that ended it; or with a vocabulary each document's word pieces and [SEP]; files in
// order of path. A document's split is a
// function of its bytes and the seed alone, so equal documents never stand on both sides. The
// folder is built under a temporary name beside `output` and renamed when whole. Throws Error when
// an input cannot be read, the output exists, or a split that was asked for would be empty.
TextBuildReport build_text_dataset(const TextBuildConfig& config);

}  // namespace fusor
