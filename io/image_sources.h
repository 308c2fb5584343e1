#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/idx.h"
#include "io/image.h"

namespace fusor {

// An image to be packed.
struct ImageSource {
  std::string name;  // its path, or "FILE image 17"
  std::string label;
  std::string split;  // as the input says it; empty: to be drawn
  std::string group;  // images of one group stay together; empty: equal ones do
  std::shared_ptr<const IdxArray> array{};  // null: the file `name`
  std::int64_t index = 0;                   // in `array`

  std::string read() const;  // the bytes of the file, or of the pixels in the array
};

// The columns of a table of images.
struct ImageColumns {
  std::string path = "path", label = "label";
  std::string group{}, split{};  // empty: there is none
};

// What `input` names:
//   a folder with files *-images-idx3-ubyte and *-labels-idx1-ubyte, also .gz: pairs by their first
//     part, which tells the split ("train", "val"; "t10k" and "test" are test)
//   a folder of folders train, val, test (val or test may be "valid" or "validation"), each of
//     folders that are classes
//   a folder of folders that are classes, searched below for files
//   a file *.csv: columns of paths, from its folder on, and labels
// in a fixed order. `group_by_stem`: a file's name before its first '.' or '_' is its group. Hidden
// files are left out. Throws Error when there are no images.
std::vector<ImageSource> find_images(const std::string& input, const ImageColumns& columns,
                                     bool group_by_stem);

}  // namespace fusor
