#pragma once
#include "io/image.h"
#include "io/record_dataset.h"

namespace fusor {

// The images of a dataset's field, which holds pixels [height, width, channels] or files of any
// length. The dataset must outlive it.
class ImageField {
 public:
  // Throws Error when there is no such field, or it holds no images.
  ImageField(const RecordDataset& data, std::string_view field);

  std::int64_t channels() const { return channels_; }
  // Of a row. Throws Error naming dataset and row for an image that is corrupt or absent.
  Image read(std::int64_t row) const;

 private:
  const RecordDataset& data_;
  std::size_t field_;
  std::int64_t channels_;
};

}  // namespace fusor
