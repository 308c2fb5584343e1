#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "io/read_ahead.h"

namespace fusor {

// make(i) of [0, count) on threads, some ahead, and take(i, item) of each on this one, in order.
// Throws what either throws.
template <class Make, class Take>
void in_order(std::int64_t count, int num_threads, Make&& make, Take&& take) {
  using Item = decltype(make(std::int64_t{0}));
  constexpr std::int64_t kAtOnce = 32;
  const int depth = 2 * num_threads + 2;
  std::vector<std::vector<Item>> slots(static_cast<std::size_t>(depth));
  const auto slot_of = [&](std::int64_t i) -> std::vector<Item>& {
    return slots[static_cast<std::size_t>(i / kAtOnce % depth)];
  };
  ReadAhead ahead((count + kAtOnce - 1) / kAtOnce, depth, num_threads,
                  [&](std::int64_t batch, const std::stop_token& stop) {
                    const std::int64_t begin = batch * kAtOnce;
                    std::vector<Item>& slot = slot_of(begin);
                    slot.clear();
                    for (std::int64_t i = begin; i < std::min(count, begin + kAtOnce); ++i)
                      if (!stop.stop_requested()) slot.push_back(make(i));
                  });
  for (std::int64_t i = 0; i < count; ++i) {
    if (i % kAtOnce == 0) ahead.next();
    take(i, slot_of(i)[static_cast<std::size_t>(i % kAtOnce)]);
  }
}

}  // namespace fusor
