#pragma once
#include <cstddef>

#include "ops/conv2d.h"
#include "runtime/launch.h"

// Defined in conv2d_cpu.cc (oneDNN), conv2d_direct_cpu.cc and conv2d_cuda.cc.
namespace fusor::ops::kernels {

struct Conv2dShape {
  std::int64_t n, h, w, c;  // x
  std::int64_t k, r, s;     // filters: how many, rows and columns of each
  std::int64_t p, q;        // rows and columns of y
  Hw stride, before, after, dilation;
  std::int64_t groups;

  constexpr std::int64_t group_c() const { return c / groups; }
  constexpr std::int64_t group_k() const { return k / groups; }
  constexpr std::int64_t pixels() const { return n * p * q; }  // of y
  auto operator<=>(const Conv2dShape&) const = default;
};

enum class Conv2dPass : std::uint8_t { forward, data, weights };

// One pass, with a, b and c of Conv2dOperands:
//   forward  a x, b w, c y     data  a dy, b w, c dx     weights  a dy, b x, c dw
// dw is in the accumulator dtype, all else in dtype.
struct Conv2dCall {
  Conv2dPass pass;
  DType dtype;
  bool bias = false, relu = false;  // forward
  bool add = false;                 // to what c holds: the other two
  Conv2dShape shape;
  auto operator<=>(const Conv2dCall&) const = default;
};

struct Conv2dOperands {
  const std::byte *a, *b, *bias;  // bias null if absent
  std::byte *c, *workspace;       // conv2d_workspace() bytes
};

std::size_t conv2d_workspace(Cpu, const Conv2dCall&);
std::size_t conv2d_workspace(Cuda, const Conv2dCall&);
void conv2d(Cpu, const Conv2dCall&, const Conv2dOperands&);
void conv2d(Cuda, const Conv2dCall&, const Conv2dOperands&);

// Plain loops on the CPU: f64, for tests, and what oneDNN does not take.
void conv2d_direct(const Conv2dCall&, const Conv2dOperands&);

}  // namespace fusor::ops::kernels
