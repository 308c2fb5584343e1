#include "ops/cuda_map.h"
#include "ops/pixels_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class From, class T>
__global__ void __launch_bounds__(cuda::kMapThreads)
    pixels_kernel(std::int64_t n, PixelFactors by, const From* from, T* y) {
  for (std::int64_t i = cuda::first_round(); i < n; i += cuda::rounds_at_once()) {
    const auto c = static_cast<std::size_t>(i % by.channels);
    const float x = static_cast<float>(from[i]) * by.factor[c] + by.shift[c];
    cuda::store(y[i], static_cast<acc_t<T>>(x));
  }
}

}  // namespace

template <class From, class T>
void scale_pixels(Cuda on, std::int64_t n, const PixelFactors& by, const From* from, T* y) {
  cuda::run(on, {.blocks = cuda::loop_blocks(n, cuda::kMapThreads), .threads = cuda::kMapThreads},
            pixels_kernel<From, T>, n, by, from, y);
}

#define FUSOR_PIXELS(T)                                                                         \
  template void scale_pixels(Cuda, std::int64_t, const PixelFactors&, const std::uint8_t*, T*); \
  template void scale_pixels(Cuda, std::int64_t, const PixelFactors&, const float*, T*);
FUSOR_PIXELS(double)
FUSOR_PIXELS(float)
FUSOR_PIXELS(bf16)
FUSOR_PIXELS(f16)
#undef FUSOR_PIXELS

}  // namespace fusor::ops::kernels
