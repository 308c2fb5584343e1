#pragma once
#include "launch/device_work.h"
#include "ops/gemm_kernels.h"

// A linear layer's product by Fusor, epilogue included, and by cuBLASLt alone, without one.
namespace fusor::benchmark {

// Works 1, 2, ... are the bare product by each algorithm that the library's heuristics name, up to
// 32, with sums in f32 as Fusor asks for; work 0 is Fusor's own call. The call is bf16's, on GPU 0.
DeviceWork product_and_bare(const ops::kernels::GemmCall&, int times);

}  // namespace fusor::benchmark
