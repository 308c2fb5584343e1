#pragma once
#include <cstdint>

#include "ops/normal.h"
#include "runtime/random.h"

// Random numbers by the block, for loops that GCC vectorises.
namespace fusor::ops::cpu {

inline constexpr std::int64_t kDrawn = 256;  // random words drawn together

// words[i] = random_bits(key, first + i) for i < kDrawn; first is a multiple of 4.
inline void draw(RandomKey key, std::int64_t first, std::uint32_t* words) {
  const std::uint64_t counter = static_cast<std::uint64_t>(first) / 4;
#pragma omp simd
  for (std::int64_t i = 0; i < kDrawn / 4; ++i) {
    const auto w = philox(key, counter + static_cast<std::uint64_t>(i));
    words[4 * i] = w[0];
    words[4 * i + 1] = w[1];
    words[4 * i + 2] = w[2];
    words[4 * i + 3] = w[3];
  }
}

// Turns words drawn by draw() into standard normals: element i and its neighbour i ^ 1 share two
// words, so that a normal is a function of key and index alone.
inline void normals(const std::uint32_t* words, float* to) {
#pragma omp simd
  for (std::int64_t i = 0; i < kDrawn / 2; ++i)
    normal_pair(words[2 * i], words[2 * i + 1], to[2 * i], to[2 * i + 1]);
}

}  // namespace fusor::ops::cpu
