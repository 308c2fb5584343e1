#pragma once
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "io/image.h"
#include "tests/golden.h"

namespace fusor {

// What tests/golden/make_images.py wrote.
class GoldenImages {
 public:
  Image image(const std::string& name) const {
    const Tensor tensor = golden_.tensor(name);
    Image image(tensor.dim(0), tensor.dim(1), tensor.dim(2));
    std::ranges::copy(tensor.host<std::uint8_t>(), image.pixels.begin());
    return image;
  }
  std::vector<std::byte> file(const std::string& name) const {
    const auto bytes = golden_.read<std::uint8_t>(name);
    const auto* const begin = reinterpret_cast<const std::byte*>(bytes.data());
    return {begin, begin + bytes.size()};
  }

 private:
  Golden golden_{"images"};
};

// The largest difference of a byte; 256 where the images differ in shape.
inline int distance(const Image& a, const Image& b) {
  if (a.height != b.height || a.width != b.width || a.channels != b.channels) return 256;
  int most = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    most = std::max(most, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  return most;
}

}  // namespace fusor
