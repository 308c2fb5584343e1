#pragma once
#include <cstdint>

#include "ops/pool2d.h"
#include "runtime/launch.h"

// Defined in pool2d_cpu.cc and pool2d_cuda.cu.
namespace fusor::ops::kernels {

// [begin, end) of an extent.
struct Interval {
  std::int64_t begin, end;
};

struct Pool2dShape {
  std::int64_t n, h, w, c, p, q;
  Hw size, stride, before;
  bool count_outside;  // of means

  // What place `at` of y takes of an extent of x, and which places of y take its `i`.
  static constexpr Interval window(std::int64_t at, std::int64_t extent, std::int64_t size,
                                   std::int64_t stride, std::int64_t before) {
    const std::int64_t first = at * stride - before;
    return {first < 0 ? 0 : first, first + size < extent ? first + size : extent};
  }
  static constexpr Interval places(std::int64_t i, std::int64_t places, std::int64_t size,
                                   std::int64_t stride, std::int64_t before) {
    const std::int64_t last = (i + before) / stride, past = i + before - size;
    const std::int64_t first = past < 0 ? 0 : past / stride + 1;
    return {first, last + 1 < places ? last + 1 : places};
  }
  constexpr Interval rows(std::int64_t at) const {
    return window(at, h, size.h, stride.h, before.h);
  }
  constexpr Interval columns(std::int64_t at) const {
    return window(at, w, size.w, stride.w, before.w);
  }
  constexpr Interval rows_of_y(std::int64_t i) const {
    return places(i, p, size.h, stride.h, before.h);
  }
  constexpr Interval columns_of_y(std::int64_t j) const {
    return places(j, q, size.w, stride.w, before.w);
  }
  // Where (i, j) stands in the window of (at_p, at_q), row by row; max_pool2d's windows are small.
  constexpr std::uint8_t place_in_window(std::int64_t at_p, std::int64_t at_q, std::int64_t i,
                                         std::int64_t j) const {
    return static_cast<std::uint8_t>((i - (at_p * stride.h - before.h)) * size.w + j -
                                     (at_q * stride.w - before.w));
  }
  // What a sum over a window is divided by.
  constexpr std::int64_t count(std::int64_t at_p, std::int64_t at_q) const {
    if (count_outside) return size.h * size.w;
    const Interval i = rows(at_p), j = columns(at_q);
    return (i.end - i.begin) * (j.end - j.begin);
  }
  // Channel 0 of a pixel.
  constexpr std::int64_t x_at(std::int64_t image, std::int64_t i, std::int64_t j) const {
    return ((image * h + i) * w + j) * c;
  }
  constexpr std::int64_t y_at(std::int64_t image, std::int64_t i, std::int64_t j) const {
    return ((image * p + i) * q + j) * c;
  }
};

// chosen [n, p, q, c]: where in its window the largest stands, or null.
template <class T>
void max_pool2d(Cpu, const Pool2dShape&, const T* x, T* y, std::uint8_t* chosen);
template <class T>
void max_pool2d(Cuda, const Pool2dShape&, const T* x, T* y, std::uint8_t* chosen);
template <class T>
void max_pool2d_backward(Cpu, const Pool2dShape&, const T* dy, const std::uint8_t* chosen, T* dx,
                         bool add);
template <class T>
void max_pool2d_backward(Cuda, const Pool2dShape&, const T* dy, const std::uint8_t* chosen, T* dx,
                         bool add);

template <class T>
void mean_pool2d(Cpu, const Pool2dShape&, const T* x, T* y);
template <class T>
void mean_pool2d(Cuda, const Pool2dShape&, const T* x, T* y);
template <class T>
void mean_pool2d_backward(Cpu, const Pool2dShape&, const T* dy, T* dx, bool add);
template <class T>
void mean_pool2d_backward(Cuda, const Pool2dShape&, const T* dy, T* dx, bool add);

}  // namespace fusor::ops::kernels
