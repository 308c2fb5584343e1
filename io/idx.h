#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/shape.h"

namespace fusor {

// An array of bytes as the files of MNIST hold them (yann.lecun.com/exdb/mnist): two zero bytes,
// the type 8, the number of dims, each dim as a big-endian u32, the values.
struct IdxArray {
  Shape shape;
  std::vector<std::uint8_t> values;
};

// As it is or compressed by gzip. Throws Error naming the file for anything else, or of another
// number of dims.
IdxArray read_idx(const std::string& path, std::size_t dims);

}  // namespace fusor
