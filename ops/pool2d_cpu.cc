
#include "ops/cpu.h"
#include "ops/pool2d_kernels.h"

namespace fusor::ops::kernels {
namespace {

// body(image, i, j) for each pixel of [images, rows, columns], a row at a time.
template <class Body>
void for_pixels(std::int64_t images, std::int64_t rows, std::int64_t columns, Body&& body) {
  cpu::parallel_for(images * rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at)
      for (std::int64_t j = 0; j < columns; ++j) body(at / rows, at % rows, j);
  });
}

// f(i, j) for each place of two spans, row by row.
template <class F>
void for_window(const Interval& rows, const Interval& columns, F&& f) {
  for (std::int64_t i = rows.begin; i < rows.end; ++i)
    for (std::int64_t j = columns.begin; j < columns.end; ++j) f(i, j);
}

template <class T>
void find_max(const Pool2dShape& s, const T* x, T* y, std::uint8_t* chosen, std::int64_t image,
              std::int64_t p, std::int64_t q) {
  using A = acc_t<T>;
  const std::int64_t to = s.y_at(image, p, q);
  bool first = true;
  for_window(s.rows(p), s.columns(q), [&](std::int64_t i, std::int64_t j) {
    const T* const from = x + s.x_at(image, i, j);
    const std::uint8_t place = s.place_in_window(p, q, i, j);
    for (std::int64_t c = 0; c < s.c; ++c) {
      const A v = cpu::load(from[c]), best = cpu::load(y[to + c]);
      // One that is no number is the largest.
      if (!first && !(v > best) && !(v != v)) continue;
      y[to + c] = from[c];
      if (chosen) chosen[to + c] = place;
    }
    first = false;
  });
}

}  // namespace

template <class T>
void max_pool2d(Cpu, const Pool2dShape& s, const T* x, T* y, std::uint8_t* chosen) {
  for_pixels(s.n, s.p, s.q, [&](std::int64_t image, std::int64_t p, std::int64_t q) {
    find_max(s, x, y, chosen, image, p, q);
  });
}

template <class T>
void max_pool2d_backward(Cpu, const Pool2dShape& s, const T* dy, const std::uint8_t* chosen, T* dx,
                         bool add) {
  using A = acc_t<T>;
  for_pixels(s.n, s.h, s.w, [&](std::int64_t image, std::int64_t i, std::int64_t j) {
    T* const to = dx + s.x_at(image, i, j);
    for (std::int64_t c = 0; c < s.c; ++c) {
      A sum = 0;
      for_window(s.rows_of_y(i), s.columns_of_y(j), [&](std::int64_t p, std::int64_t q) {
        const std::int64_t from = s.y_at(image, p, q) + c;
        if (chosen[from] == s.place_in_window(p, q, i, j)) sum += cpu::load(dy[from]);
      });
      cpu::store(to[c], (add ? cpu::load(to[c]) : A(0)) + sum);
    }
  });
}

template <class T>
void mean_pool2d(Cpu, const Pool2dShape& s, const T* x, T* y) {
  using A = acc_t<T>;
  for_pixels(s.n, s.p, s.q, [&](std::int64_t image, std::int64_t p, std::int64_t q) {
    const A share = A(1) / static_cast<A>(s.count(p, q));
    for (std::int64_t c = 0; c < s.c; ++c) {
      A sum = 0;
      for_window(s.rows(p), s.columns(q), [&](std::int64_t i, std::int64_t j) {
        sum += cpu::load(x[s.x_at(image, i, j) + c]);
      });
      cpu::store(y[s.y_at(image, p, q) + c], sum * share);
    }
  });
}

template <class T>
void mean_pool2d_backward(Cpu, const Pool2dShape& s, const T* dy, T* dx, bool add) {
  using A = acc_t<T>;
  for_pixels(s.n, s.h, s.w, [&](std::int64_t image, std::int64_t i, std::int64_t j) {
    T* const to = dx + s.x_at(image, i, j);
    for (std::int64_t c = 0; c < s.c; ++c) {
      A sum = 0;
      for_window(s.rows_of_y(i), s.columns_of_y(j), [&](std::int64_t p, std::int64_t q) {
        sum += cpu::load(dy[s.y_at(image, p, q) + c]) / static_cast<A>(s.count(p, q));
      });
      cpu::store(to[c], (add ? cpu::load(to[c]) : A(0)) + sum);
    }
  });
}

#define FUSOR_POOL2D(T)                                                                         \
  template void max_pool2d(Cpu, const Pool2dShape&, const T*, T*, std::uint8_t*);               \
  template void max_pool2d_backward(Cpu, const Pool2dShape&, const T*, const std::uint8_t*, T*, \
                                    bool);                                                      \
  template void mean_pool2d(Cpu, const Pool2dShape&, const T*, T*);                             \
  template void mean_pool2d_backward(Cpu, const Pool2dShape&, const T*, T*, bool);
FUSOR_POOL2D(double)
FUSOR_POOL2D(float)
FUSOR_POOL2D(bf16)
FUSOR_POOL2D(f16)
#undef FUSOR_POOL2D

}  // namespace fusor::ops::kernels
