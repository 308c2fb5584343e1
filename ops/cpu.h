#pragma once
#include <cstdint>
#include <type_traits>

#include "runtime/dtype.h"

// What the CPU kernels share: element conversion, and loops over rows or elements on the rank's
// threads.
namespace fusor::ops::cpu {

// Kernels compute in acc_t<T>; these move elements in and out of storage.
inline double load(const double& x) { return x; }
inline float load(const float& x) { return x; }
inline float load(const bf16& x) { return static_cast<float>(x); }
inline float load(const f16& x) { return static_cast<float>(x); }
inline void store(double& to, double x) { to = x; }
inline void store(float& to, float x) { to = x; }
inline void store(bf16& to, float x) { to = bf16(x); }
inline void store(f16& to, float x) { to = f16(x); }

// Runs body(std::bool_constant<flag>): a choice made inside a loop can keep it from vectorising.
template <class Body>
void with_constant(bool flag, Body&& body) {
  flag ? body(std::true_type{}) : body(std::false_type{});
}

// to = (add ? to : 0) + d
template <bool add, class T>
void put(std::bool_constant<add>, T& to, acc_t<T> d) {
  if constexpr (add)
    store(to, load(to) + d);
  else
    store(to, d);
}

// Calls body(begin, end) for each `grain` of [0, n), the last one shorter, on the rank's threads.
// What a call covers does not depend on their number, so neither does the value of an element.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  if (n <= grain) return body(std::int64_t{0}, n);
  const std::int64_t blocks = (n + grain - 1) / grain;
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < blocks; ++b)
    body(b * grain, (b + 1) * grain < n ? (b + 1) * grain : n);
}

// The rows of `cols` elements that are worth a thread's while: a grain for loops over rows.
inline std::int64_t row_grain(std::int64_t cols) {
  constexpr std::int64_t kElements = 1 << 14;
  return cols < kElements ? kElements / (cols > 0 ? cols : 1) : 1;
}

}  // namespace fusor::ops::cpu
