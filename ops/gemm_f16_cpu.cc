#include "ops/cpu.h"
#include "ops/gemm_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::size_t kAlignment = 64;

// The product in f32, of copies of what is in f16.
GemmCall wide(const GemmCall& call) {
  GemmCall in_f32 = call;
  in_f32.dtype = DType::f32;
  return in_f32;
}

// Elements of the operands of a call.
struct Sizes {
  std::int64_t a, b, bias, c;  // c: 0 where it is in f32 already
};
Sizes sizes_of(const GemmCall& call) {
  const std::int64_t x = call.m * call.k, w = call.n * call.k, y = call.m * call.n;
  const std::int64_t bias = call.bias ? call.n : 0;
  if (call.product == Product::tn) return {y, x, bias, 0};
  return call.product == Product::nt ? Sizes{x, w, bias, y} : Sizes{y, w, bias, x};
}

std::size_t room(std::int64_t n) {
  return (static_cast<std::size_t>(n) * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
}

template <class From, class To>
void convert(std::int64_t n, const std::byte* from, std::byte* to) {
  const auto* x = reinterpret_cast<const From*>(from);
  auto* y = reinterpret_cast<To*>(to);
  cpu::parallel_for(n, 1 << 14, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) cpu::store(y[i], cpu::load(x[i]));
  });
}

}  // namespace

std::size_t gemm_f16_workspace(const GemmCall& call) {
  const auto [a, b, bias, c] = sizes_of(call);
  return room(a) + room(b) + room(bias) + room(c) + gemm_workspace(Cpu{}, wide(call));
}

void gemm_f16(const GemmCall& call, const GemmOperands& o) {
  const auto [a, b, bias, c] = sizes_of(call);
  std::byte* next = o.workspace;
  const auto take = [&](std::int64_t n, const std::byte* from) {
    std::byte* const copy = next;
    next += room(n);
    if (from) convert<f16, float>(n, from, copy);
    return copy;
  };
  GemmOperands in_f32 = o;
  in_f32.a = take(a, o.a);
  in_f32.b = take(b, o.b);
  if (call.bias) in_f32.bias = take(bias, o.bias);
  if (c > 0) in_f32.c = take(c, call.add ? o.c : nullptr);
  in_f32.workspace = next;
  gemm(Cpu{}, wide(call), in_f32);
  if (c > 0) convert<float, f16>(c, in_f32.c, o.c);
}

}  // namespace fusor::ops::kernels
