#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/copy.h"
#include "runtime/random.h"
#include "runtime/tensor.h"

// What numeric tests share: elements as doubles, reproducible noise, and one measure of difference.
namespace fusor {

// The elements of a tensor of any device but meta.
inline std::vector<double> doubles(const Tensor& of) {
  const Tensor t = on_host(of);
  std::vector<double> out(static_cast<std::size_t>(t.size()));
  const auto read = [&]<class T> {
    std::ranges::transform(t.host<T>(), out.begin(), [](T x) {
      if constexpr (is_half(dtype_of<T>))
        return static_cast<double>(static_cast<float>(x));
      else
        return static_cast<double>(x);
    });
  };
  t.dtype() == DType::i32 ? read.operator()<std::int32_t>() : on_float(t.dtype(), read);
  return out;
}

// t[i] = f(i), rounded to t's dtype.
template <class F>
void fill(const Tensor& t, F&& f) {
  if (t.device().kind() == DeviceKind::cuda) {
    const Tensor staged(t.shape(), t.dtype());
    fill(staged, std::forward<F>(f));
    copy(staged, t);
    return synchronize(t.device());
  }
  const auto write = [&]<class T> {
    const std::span<T> to = t.host<T>();
    for (std::size_t i = 0; i < to.size(); ++i)
      if constexpr (is_half(dtype_of<T>))
        to[i] = T(static_cast<float>(f(i)));
      else
        to[i] = static_cast<T>(f(i));
  };
  t.dtype() == DType::i32 ? write.template operator()<std::int32_t>() : on_float(t.dtype(), write);
}

inline double at(const Tensor& t, std::int64_t i) { return doubles(t.slice(i, {1}))[0]; }
inline void set(const Tensor& t, std::int64_t i, double value) {
  fill(t.slice(i, {1}), [=](std::size_t) { return value; });
}

// A copy in another dtype or on another device. On meta there is nothing to copy.
inline Tensor cast(const Tensor& t, DType dtype, const Device& device = Device()) {
  Tensor to(t.shape(), dtype, device);
  if (device.kind() == DeviceKind::meta || t.device().kind() == DeviceKind::meta) return to;
  const std::vector<double> from = doubles(t);
  fill(to, [&](std::size_t i) { return from[i]; });
  return to;
}

// Uniform in [-1, 1).
inline Tensor noise(const Shape& shape, DType dtype, std::uint64_t seed) {
  Tensor t(shape, dtype);
  const RandomKey key = random_key(seed, "noise");
  fill(t, [&](std::size_t i) { return 2.0 * uniform(key, i) - 1; });
  return t;
}

// Uniform in {0, ..., bound - 1}, as i32.
inline Tensor noise_ids(const Shape& shape, std::int64_t bound, std::uint64_t seed) {
  Tensor t(shape, DType::i32);
  const RandomKey key = random_key(seed, "ids");
  fill(t, [&](std::size_t i) { return uniform(key, i) * static_cast<double>(bound); });
  return t;
}

// The number of a step, i64 [1], as operators read it.
inline Tensor step_number(std::int64_t step, const Device& device = Device()) {
  const Tensor on_host({1}, DType::i64), t({1}, DType::i64, device);
  on_host.host<std::int64_t>()[0] = step;
  copy(on_host, t);
  synchronize(device);
  return t;
}

// Row i of the result is row rows[i] of x [n, cols].
inline Tensor rows_of(const Tensor& x, const std::vector<std::int64_t>& rows,
                      const Device& device = Device()) {
  Tensor y({static_cast<std::int64_t>(rows.size()), x.dim(1)}, x.dtype(), device);
  const std::vector<double> from = doubles(x);
  const auto cols = static_cast<std::size_t>(x.dim(1));
  fill(y, [&](std::size_t i) {
    return from[static_cast<std::size_t>(rows[i / cols]) * cols + i % cols];
  });
  return y;
}

// Worst |a - b| as a fraction of the largest |b|: one number, free of scale. Infinite when the
// shapes differ or an element is not a number.
inline double distance(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return INFINITY;
  const std::vector<double> x = doubles(a), y = doubles(b);
  double worst = 0, scale = 1e-30;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i] - y[i])) return INFINITY;
    worst = std::max(worst, std::abs(x[i] - y[i]));
    scale = std::max(scale, std::abs(y[i]));
  }
  return worst / scale;
}

}  // namespace fusor
