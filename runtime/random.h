#pragma once
#include <array>
#include <cstdint>
#include <string_view>

// Counter-based random numbers: a number is a function of a key and the index of the global element
// it belongs to, so weights, dropout and order are the same under every layout and on recompute.
// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
namespace fusor {

struct RandomKey {
  std::uint64_t bits = 0;
};

// Four 32-bit words for counter (lo, hi) under key.
constexpr std::array<std::uint32_t, 4> philox(RandomKey key, std::uint64_t lo,
                                              std::uint64_t hi = 0) {
  std::array<std::uint32_t, 4> c{
      static_cast<std::uint32_t>(lo), static_cast<std::uint32_t>(lo >> 32),
      static_cast<std::uint32_t>(hi), static_cast<std::uint32_t>(hi >> 32)};
  auto k0 = static_cast<std::uint32_t>(key.bits), k1 = static_cast<std::uint32_t>(key.bits >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c[0],
                        b = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(a)};
  }
  return c;
}

// What the keys of one use have in common: what for ("init/block.0.attn.q", "dropout/block.0").
struct KeyStem {
  std::uint64_t bits = 0;
};
KeyStem key_stem(std::uint64_t seed, std::string_view purpose);

// The key for one use in one step or epoch. Distinct (seed, purpose, step) give unrelated streams.
constexpr RandomKey key_at(KeyStem stem, std::uint64_t step) {
  const auto w = philox({stem.bits}, step, 3);
  return {std::uint64_t{w[1]} << 32 | w[0]};
}
inline RandomKey random_key(std::uint64_t seed, std::string_view purpose, std::uint64_t step = 0) {
  return key_at(key_stem(seed, purpose), step);
}

// The 32 random bits of element i: word i % 4 of counter i / 4.
constexpr std::uint32_t random_bits(RandomKey key, std::uint64_t i) {
  return philox(key, i / 4)[i % 4];
}

// Uniform in [0, 1) with 24 bits, exact in f32.
constexpr float uniform(RandomKey key, std::uint64_t i) {
  return static_cast<float>(random_bits(key, i) >> 8) * 0x1p-24f;
}

}  // namespace fusor
