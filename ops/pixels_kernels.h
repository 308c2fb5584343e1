#pragma once
#include <array>
#include <cstdint>

#include "ops/pixels.h"
#include "runtime/launch.h"

// Defined in pixels_cpu.cc and pixels_cuda.cu. From: std::uint8_t or float
namespace fusor::ops::kernels {

// y[i] = from[i] factor[i % channels] + shift[i % channels]
struct PixelFactors {
  std::array<float, PixelScale::kMostChannels> factor, shift;
  int channels;
};
template <class From, class T>
void scale_pixels(Cpu, std::int64_t n, const PixelFactors&, const From* from, T* y);
template <class From, class T>
void scale_pixels(Cuda, std::int64_t n, const PixelFactors&, const From* from, T* y);

}  // namespace fusor::ops::kernels
