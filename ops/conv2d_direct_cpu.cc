#include "ops/conv2d_kernels.h"
#include "ops/cpu.h"

namespace fusor::ops::kernels {
namespace {

// The part of a convolution that is one group's.
struct Group {
  std::int64_t first_c, first_k;
};
Group group_of(const Conv2dShape& s, std::int64_t g) { return {g * s.group_c(), g * s.group_k()}; }

// f(i, w): row i of [0, size) that place `at` of y reads by filter row w.
template <class F>
void for_taps(std::int64_t size, std::int64_t taps, std::int64_t first, std::int64_t dilation,
              F&& f) {
  for (std::int64_t t = 0; t < taps; ++t)
    if (const std::int64_t i = first + t * dilation; 0 <= i && i < size) f(i, t);
}

// f(place, tap): the places of y that read row i by filter row `tap`.
template <class F>
void for_places(std::int64_t i, std::int64_t places, std::int64_t taps, std::int64_t stride,
                std::int64_t before, std::int64_t dilation, F&& f) {
  for (std::int64_t t = 0; t < taps; ++t)
    if (const std::int64_t at = i + before - t * dilation;
        at >= 0 && at % stride == 0 && at / stride < places)
      f(at / stride, t);
}

template <class T>
void forward(const Conv2dCall& call, const T* x, const T* w, const T* bias, T* y) {
  const Conv2dShape& s = call.shape;
  const std::int64_t depth = s.group_c();
  cpu::parallel_for(s.pixels(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t n = at / (s.p * s.q), p = at / s.q % s.p, q = at % s.q;
      for (std::int64_t k = 0; k < s.k; ++k) {
        const Group g = group_of(s, k / s.group_k());
        acc_t<T> sum = bias ? cpu::load(bias[k]) : acc_t<T>(0);
        for_taps(s.h, s.r, p * s.stride.h - s.before.h, s.dilation.h, [&](auto i, auto r) {
          for_taps(s.w, s.s, q * s.stride.w - s.before.w, s.dilation.w, [&](auto j, auto v) {
            const T* from = x + ((n * s.h + i) * s.w + j) * s.c + g.first_c;
            const T* by = w + ((k * s.r + r) * s.s + v) * depth;
            for (std::int64_t c = 0; c < depth; ++c) sum += cpu::load(from[c]) * cpu::load(by[c]);
          });
        });
        cpu::store(y[at * s.k + k], call.relu && sum < 0 ? acc_t<T>(0) : sum);
      }
    }
  });
}

template <class T>
void data(const Conv2dCall& call, const T* dy, const T* w, T* dx) {
  const Conv2dShape& s = call.shape;
  const std::int64_t depth = s.group_c();
  cpu::parallel_for(s.n * s.h * s.w, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t n = at / (s.h * s.w), i = at / s.w % s.h, j = at % s.w;
      for (std::int64_t c = 0; c < s.c; ++c) {
        const Group g = group_of(s, c / depth);
        acc_t<T> sum = call.add ? cpu::load(dx[at * s.c + c]) : acc_t<T>(0);
        for_places(i, s.p, s.r, s.stride.h, s.before.h, s.dilation.h, [&](auto p, auto r) {
          for_places(j, s.q, s.s, s.stride.w, s.before.w, s.dilation.w, [&](auto q, auto v) {
            const T* from = dy + ((n * s.p + p) * s.q + q) * s.k + g.first_k;
            const T* by = w + ((g.first_k * s.r + r) * s.s + v) * depth + c - g.first_c;
            for (std::int64_t k = 0; k < s.group_k(); ++k)
              sum += cpu::load(from[k]) * cpu::load(by[k * s.r * s.s * depth]);
          });
        });
        cpu::store(dx[at * s.c + c], sum);
      }
    }
  });
}

template <class T>
void weights(const Conv2dCall& call, const T* dy, const T* x, acc_t<T>* dw) {
  const Conv2dShape& s = call.shape;
  const std::int64_t depth = s.group_c(), taps = s.r * s.s;
  cpu::parallel_for(s.k * taps, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t k = at / taps, r = at / s.s % s.r, v = at % s.s;
      acc_t<T>* to = dw + at * depth;
      for (std::int64_t c = 0; c < depth && !call.add; ++c) to[c] = 0;
      for (std::int64_t row = 0; row < s.n * s.p; ++row) {
        const std::int64_t i = row % s.p * s.stride.h - s.before.h + r * s.dilation.h;
        if (i < 0 || i >= s.h) continue;
        for (std::int64_t q = 0; q < s.q; ++q) {
          const std::int64_t j = q * s.stride.w - s.before.w + v * s.dilation.w;
          if (j < 0 || j >= s.w) continue;
          const acc_t<T> slope = cpu::load(dy[(row * s.q + q) * s.k + k]);
          const T* from =
              x + ((row / s.p * s.h + i) * s.w + j) * s.c + group_of(s, k / s.group_k()).first_c;
          for (std::int64_t c = 0; c < depth; ++c) to[c] += slope * cpu::load(from[c]);
        }
      }
    }
  });
}

}  // namespace

void conv2d_direct(const Conv2dCall& call, const Conv2dOperands& o) {
  on_float(call.dtype, [&]<class T> {
    const auto *a = reinterpret_cast<const T*>(o.a), *b = reinterpret_cast<const T*>(o.b);
    auto* c = reinterpret_cast<T*>(o.c);
    switch (call.pass) {
      case Conv2dPass::forward:
        return forward(call, a, b, reinterpret_cast<const T*>(o.bias), c);
      case Conv2dPass::data:
        return data(call, a, b, c);
      case Conv2dPass::weights:
        return weights(call, a, b, reinterpret_cast<acc_t<T>*>(o.c));
    }
  });
}

}  // namespace fusor::ops::kernels
