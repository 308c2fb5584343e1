#pragma once
#include <cmath>

#include "ops/cuda.h"
#include "runtime/random.h"

namespace fusor::ops::cuda {

// words[k] = random_bits(key, first + k); first is a multiple of N, a power of two.
template <int N>
__device__ void draw(RandomKey key, std::int64_t first, std::uint32_t (&words)[N]) {
  const std::uint64_t counter = static_cast<std::uint64_t>(first) / 4;
  if constexpr (N < 4) {
    const auto drawn = philox(key, counter);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const bool odd = (first + k) & 1, high = first & 2;
      words[k] = high ? (odd ? drawn[3] : drawn[2]) : (odd ? drawn[1] : drawn[0]);
    }
  } else {
#pragma unroll
    for (int k = 0; k < N; k += 4) {
      const auto drawn = philox(key, counter + k / 4);
      words[k] = drawn[0], words[k + 1] = drawn[1];
      words[k + 2] = drawn[2], words[k + 3] = drawn[3];
    }
  }
}

// uniform() < p where a word's upper 24 bits are less than this: both sides times 2^24 are exact.
__host__ __device__ inline std::uint32_t drop_limit(double p) {
  return static_cast<std::uint32_t>(std::ceil(static_cast<float>(p) * 0x1p24f));
}

}  // namespace fusor::ops::cuda
