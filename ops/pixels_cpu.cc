#include "ops/cpu.h"
#include "ops/pixels_kernels.h"

namespace fusor::ops::kernels {

template <class From, class T>
void scale_pixels(Cpu, std::int64_t n, const PixelFactors& by, const From* from, T* y) {
  const std::int64_t pixels = n / by.channels;
  cpu::parallel_for(pixels, 1 << 12, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p)
      for (int c = 0; c < by.channels; ++c) {
        const auto k = static_cast<std::size_t>(c);
        const std::int64_t i = p * by.channels + c;
        cpu::store(y[i],
                   static_cast<acc_t<T>>(static_cast<float>(from[i]) * by.factor[k] + by.shift[k]));
      }
  });
}

#define FUSOR_PIXELS(T)                                                                        \
  template void scale_pixels(Cpu, std::int64_t, const PixelFactors&, const std::uint8_t*, T*); \
  template void scale_pixels(Cpu, std::int64_t, const PixelFactors&, const float*, T*);
FUSOR_PIXELS(double)
FUSOR_PIXELS(float)
FUSOR_PIXELS(bf16)
FUSOR_PIXELS(f16)
#undef FUSOR_PIXELS

}  // namespace fusor::ops::kernels
