#include "ops/conv2d_cuda.h"
#include "ops/cuda_map.h"
#include "ops/sum_rows_kernels.h"

namespace fusor::ops::cuda {
namespace {

using kernels::Conv2dCall;
using kernels::Conv2dOperands;
using kernels::Conv2dPass;
using kernels::Conv2dShape;

// Bodies of for_rows: neighbouring threads do neighbouring channels.

template <class T>
struct Forward {
  Conv2dShape s;
  const T *x, *w, *bias;
  T* y;
  bool relu;
  template <int>
  __device__ void at(std::int64_t pixel, std::int64_t k) const {
    const std::int64_t image = pixel / (s.p * s.q), p = pixel / s.q % s.p, q = pixel % s.q;
    const std::int64_t depth = s.group_c(), first = k / s.group_k() * depth;
    acc_t<T> sum = bias ? load(bias[k]) : acc_t<T>(0);
    for (std::int64_t r = 0; r < s.r; ++r) {
      const std::int64_t i = p * s.stride.h - s.before.h + r * s.dilation.h;
      if (i < 0 || i >= s.h) continue;
      for (std::int64_t v = 0; v < s.s; ++v) {
        const std::int64_t j = q * s.stride.w - s.before.w + v * s.dilation.w;
        if (j < 0 || j >= s.w) continue;
        const T* const from = x + ((image * s.h + i) * s.w + j) * s.c + first;
        const T* const by = w + ((k * s.r + r) * s.s + v) * depth;
        for (std::int64_t c = 0; c < depth; ++c) sum += load(from[c]) * load(by[c]);
      }
    }
    store(y[pixel * s.k + k], relu && sum < 0 ? acc_t<T>(0) : sum);
  }
};

template <class T>
struct Data {
  Conv2dShape s;
  const T *dy, *w;
  T* dx;
  bool add;
  template <int>
  __device__ void at(std::int64_t pixel, std::int64_t c) const {
    const std::int64_t image = pixel / (s.h * s.w), i = pixel / s.w % s.h, j = pixel % s.w;
    const std::int64_t depth = s.group_c(), first = c / depth * s.group_k();
    acc_t<T> sum = 0;
    for (std::int64_t r = 0; r < s.r; ++r) {
      const std::int64_t down = i + s.before.h - r * s.dilation.h;
      if (down < 0 || down % s.stride.h != 0 || down / s.stride.h >= s.p) continue;
      for (std::int64_t v = 0; v < s.s; ++v) {
        const std::int64_t right = j + s.before.w - v * s.dilation.w;
        if (right < 0 || right % s.stride.w != 0 || right / s.stride.w >= s.q) continue;
        const T* const from =
            dy + ((image * s.p + down / s.stride.h) * s.q + right / s.stride.w) * s.k + first;
        const T* const by = w + ((first * s.r + r) * s.s + v) * depth + c % depth;
        for (std::int64_t k = 0; k < s.group_k(); ++k)
          sum += load(from[k]) * load(by[k * s.r * s.s * depth]);
      }
    }
    put(add, dx[pixel * s.c + c], sum);
  }
};

// Row (part, tap, channel of the group), column k: the sum over the pixels of a part.
template <class T>
struct Weights {
  Conv2dShape s;
  const T *dy, *x;
  acc_t<T>* dw;         // [parts, k, r, s, c]
  std::int64_t pixels;  // of a part
  bool add;
  template <int>
  __device__ void at(std::int64_t row, std::int64_t k) const {
    const std::int64_t depth = s.group_c(), columns = s.r * s.s * depth;
    const std::int64_t part = row / columns, column = row % columns, tap = column / depth,
                       c = column % depth + k / s.group_k() * depth;
    const std::int64_t begin = part * pixels, end = min(begin + pixels, s.pixels());
    acc_t<T> sum = 0;
    for (std::int64_t pixel = begin; pixel < end; ++pixel) {
      const std::int64_t image = pixel / (s.p * s.q), p = pixel / s.q % s.p, q = pixel % s.q;
      const std::int64_t i = p * s.stride.h - s.before.h + tap / s.s * s.dilation.h,
                         j = q * s.stride.w - s.before.w + tap % s.s * s.dilation.w;
      if (i < 0 || i >= s.h || j < 0 || j >= s.w) continue;
      sum += load(dy[pixel * s.k + k]) * load(x[((image * s.h + i) * s.w + j) * s.c + c]);
    }
    put(add, dw[(part * s.k + k) * columns + column], sum);
  }
};

std::int64_t weight_sums(const Conv2dShape& s) {
  return num_weight_sums(s, ceil_div(num_weights(s), kMapThreads));
}

template <class T>
void run_weights(Cuda on, const Conv2dCall& call, const T* dy, const T* x, acc_t<T>* dw,
                 acc_t<T>* sums) {
  const Conv2dShape& s = call.shape;
  const std::int64_t parts = weight_sums(s), rows = parts * s.r * s.s * s.group_c();
  const Weights<T> body{
      s, dy, x, parts > 1 ? sums : dw, ceil_div(s.pixels(), parts), parts == 1 && call.add};
  for_rows<1>(on, rows, s.k, false, body);
  if (parts > 1) kernels::sum_rows<acc_t<T>>(on, parts, num_weights(s), sums, dw, call.add, sums);
}

}  // namespace

std::size_t conv2d_elements_workspace(const Conv2dCall& call) {
  const std::int64_t parts = call.pass == Conv2dPass::weights ? weight_sums(call.shape) : 1;
  if (parts == 1) return 0;
  return static_cast<std::size_t>(parts * num_weights(call.shape)) * size_of(acc_dtype(call.dtype));
}

void conv2d_elements(Cuda on, const Conv2dCall& call, const Conv2dOperands& o) {
  const Conv2dShape& s = call.shape;
  on_float(call.dtype, [&]<class T> {
    const auto *a = reinterpret_cast<const T*>(o.a), *b = reinterpret_cast<const T*>(o.b),
               *bias = reinterpret_cast<const T*>(o.bias);
    auto* c = reinterpret_cast<T*>(o.c);
    switch (call.pass) {
      case Conv2dPass::forward:
        return for_rows<1>(on, s.pixels(), s.k, false, Forward<T>{s, a, b, bias, c, call.relu});
      case Conv2dPass::data:
        return for_rows<1>(on, s.n * s.h * s.w, s.c, false, Data<T>{s, a, b, c, call.add});
      case Conv2dPass::weights:
        return run_weights(on, call, a, b, reinterpret_cast<acc_t<T>*>(o.c),
                           reinterpret_cast<acc_t<T>*>(o.workspace));
    }
  });
}

}  // namespace fusor::ops::cuda
