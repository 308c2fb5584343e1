#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/gemm.h"
#include "runtime/launch.h"

// Defined in gemm_cpu.cc (oneDNN), gemm_f16_cpu.cc, gemm_f64_cpu.cc and gemm_cuda.cc.
namespace fusor::ops::kernels {

enum class Product : std::uint8_t { nt, nn, tn };

// One product. a, b, c as in gemm.h: nt x w y, nn dy w dx, tn dy x dw, with m, n, k as there.
struct GemmCall {
  Product product;
  DType dtype;  // of a and b, and of c but for tn
  bool bias = false, add = false;
  Epilogue epilogue = Epilogue::none;
  std::int64_t m, n, k;
  auto operator<=>(const GemmCall&) const = default;
};
inline bool has_aux(const GemmCall& call) {
  return call.epilogue == Epilogue::gelu_aux || call.epilogue == Epilogue::dgelu;
}

struct GemmOperands {
  const std::byte *a, *b, *bias;  // bias null if absent
  std::byte* c;
  std::byte* workspace;      // gemm_workspace() bytes
  std::byte* aux = nullptr;  // of c's shape and dtype, where has_aux()
};

std::size_t gemm_workspace(Cpu, const GemmCall&);
std::size_t gemm_workspace(Cuda, const GemmCall&);
void gemm(Cpu, const GemmCall&, const GemmOperands&);
void gemm(Cuda, const GemmCall&, const GemmOperands&);

// Whether gemm() takes calls with aux. Where it does not, product and GELU are operators of their
// own. Not a question of what the GPU can fuse: that changes neither memory nor record.
constexpr bool takes_aux(Cpu) { return false; }
constexpr bool takes_aux(Cuda) { return true; }

void gemm_f64(const GemmCall&, const GemmOperands&);  // the CPU's f64: for tests, plain loops

// The CPU's f16, which few CPUs multiply: by products of f32 copies, rounded once.
void gemm_f16(const GemmCall&, const GemmOperands&);
std::size_t gemm_f16_workspace(const GemmCall&);

}  // namespace fusor::ops::kernels
