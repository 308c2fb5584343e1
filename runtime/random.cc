#include "runtime/random.h"

namespace fusor {

KeyStem key_stem(std::uint64_t seed, std::string_view purpose) {
  // Absorb the purpose eight bytes at a time; each block is one Philox call, so keys avalanche.
  KeyStem stem{seed};
  const auto absorb = [&](std::uint64_t block, std::uint64_t tag) {
    const auto w = philox({stem.bits}, block, tag);
    stem.bits = (std::uint64_t{w[1]} << 32) | w[0];
  };
  for (std::size_t i = 0; i < purpose.size(); i += 8) {
    std::uint64_t block = 0;
    for (std::size_t j = i; j < purpose.size() && j < i + 8; ++j)
      block = (block << 8) | static_cast<unsigned char>(purpose[j]);
    absorb(block, 1);
  }
  absorb(purpose.size(), 2);
  return stem;
}

}  // namespace fusor
