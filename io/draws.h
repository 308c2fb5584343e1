#pragma once
#include <cstdint>

#include "runtime/random.h"

namespace fusor {

// Random numbers of one sample, one after the other, from its key alone.
class Draws {
 public:
  explicit Draws(RandomKey key) : key_(key) {}

  float uniform() { return fusor::uniform(key_, next_++); }  // in [0, 1)
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(uniform());
  }
  bool chance(double probability) { return static_cast<double>(uniform()) < probability; }
  // In [0, n); n below 2^32.
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(
        std::uint64_t{random_bits(key_, next_++)} * static_cast<std::uint64_t>(n) >> 32);
  }
  double normal();                         // mean 0, variance 1
  double gamma(double alpha);              // of scale 1
  double beta(double alpha, double beta);  // in [0, 1]

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

}  // namespace fusor
