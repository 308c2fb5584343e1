#include "io/dataset_folder.h"

#include <unistd.h>

#include <filesystem>

#include "io/file.h"
#include "io/manifest.h"
#include "io/output_file.h"
#include "runtime/error.h"

namespace fusor {

namespace fs = std::filesystem;

DatasetFolder::DatasetFolder(const std::string& output)
    : output_(fs::path(output).lexically_normal().string()) {
  while (output_.size() > 1 && output_.back() == '/') output_.pop_back();
  require(!output_.empty(), "name an output folder");
  require(!fs::exists(output_), output_, " exists already: choose another folder or remove it");
  path_ = output_ + ".tmp-" + std::to_string(::getpid());
  std::error_code status;
  fs::create_directories(path_, status);
  require(!status, "cannot create the folder ", path_, ": ", status.message());
}

DatasetFolder::~DatasetFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void DatasetFolder::finish(std::string_view manifest) {
  write_text_file((fs::path(path_) / kManifestFile).string(), manifest);
  sync_to_disk(path_);
  rename_durably(path_, output_);
}

void check_shares(const HeldOutShares& shares) {
  require(shares.val >= 0 && shares.val < 1, "the val fraction must be in [0, 1), not ",
          shares.val);
  require(shares.test >= 0 && shares.test < 1, "the test fraction must be in [0, 1), not ",
          shares.test);
  require(shares.val + shares.test < 1, "val and test fractions of ", shares.val, " and ",
          shares.test, " leave nothing to train on");
}

SplitByHash::SplitByHash(std::uint64_t seed, const HeldOutShares& shares)
    : key_(random_key(seed, "data/split")), shares_(shares) {
  check_shares(shares);
}

const char* SplitByHash::operator()(std::uint64_t hash) const {
  const double place = philox(key_, hash)[0] * 0x1p-32;
  if (place < shares_.val) return "val";
  return place < shares_.val + shares_.test ? "test" : "train";
}

}  // namespace fusor
