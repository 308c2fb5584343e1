#pragma once
#include <array>
#include <cstdint>

#include "ops/attention.h"
#include "runtime/random.h"

// Which weights of an attention are dropped, as kernels draw them: see AttentionDropout.
namespace fusor::ops {

struct WeightMask {
  double p = 0;
  KeyStem stem{};
  const std::int64_t* step = nullptr;  // where the kernel runs; not read where p is 0
  std::int64_t first_sample = 0, first_head = 0;

  constexpr RandomKey key() const { return key_at(stem, static_cast<std::uint64_t>(*step)); }

  // For row b of the batch, head h and the query at position i of the row: the words of keys
  // tile * 64 + lane + 16 n of its sequence, n = 0, 1, 2, 3, for lanes [0, 16). So the threads of a
  // tile of 64 keys use all that they draw.
  constexpr std::array<std::uint32_t, 4> words(RandomKey key, std::int64_t b, std::int64_t h,
                                               std::int64_t i, std::int64_t tile,
                                               std::int64_t lane) const {
    return philox(key, pair(i, tile * 16 + lane), pair(first_sample + b, first_head + h));
  }

 private:
  static constexpr std::uint64_t pair(std::int64_t high, std::int64_t low) {
    return static_cast<std::uint64_t>(high) << 32 | static_cast<std::uint32_t>(low);
  }
};

inline WeightMask weight_mask(const AttentionDropout& d) {
  if (d.p == 0) return {};
  return {d.p, d.key.stem, d.key.step.data<std::int64_t>(), d.first_sample, d.first_head};
}

}  // namespace fusor::ops
