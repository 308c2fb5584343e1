#pragma once
#include <cstdint>
#include <string>

#include "io/bad_samples.h"
#include "io/dataset_folder.h"
#include "io/image_resize.h"
#include "io/image_sources.h"
#include "io/record_manifest.h"

namespace fusor {

struct ImageBuildConfig {
  std::string input{};   // see find_images
  std::string output{};  // a folder that does not exist yet
  ImageColumns columns{};
  bool group_by_stem = false;
  bool pixels = false;                 // stored decoded, all of one size; arrays always are
  std::int64_t channels = 3;           // 1 or 3
  std::int64_t height = 0, width = 0;  // of pixels; 0: as they are
  ResizeFilter filter = ResizeFilter::bilinear;
  HeldOutShares held_out{};  // of the images whose split is "train" or not given
  std::uint64_t split_seed = 0;
  std::int64_t shard_bytes = std::int64_t{128} << 20;
  OnBadSample on_bad = OnBadSample::fail;
  int num_threads = 1;  // that decode
};

struct ImageBuildReport {
  RecordManifest manifest;
  std::int64_t num_images = 0;  // packed
  std::int64_t num_equal = 0;   // to an earlier one, byte by byte
  std::int64_t num_leaked = 0;  // of these, to one of another split: the input says so
  BadSamples bad;
};

// Packs images into a dataset of records with the fields
//   image  u8, encoded as the file is, any length; or pixels [height, width, channels]
//   label  i32, the classes in order of name, or of number where all are numbers
// Each image is decoded once, so what is stored can be. Equal images, and those of one group, fall
// on the same side of a split that is drawn. Throws Error naming the file for an image that is
// corrupt or of another size than those before it, unless bad ones are skipped.
ImageBuildReport build_image_dataset(const ImageBuildConfig& config);

}  // namespace fusor
