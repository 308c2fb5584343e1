#pragma once
#include "ops/gemm_kernels.h"

// What computes the products of a GPU: cuBLASLt (gemm_cublas.cc) or, where CUDA is emulated, plain
// loops (gemm_emulated.cu).
namespace fusor::ops::kernels::library {

std::size_t workspace();  // bytes for any product; the same on every GPU

// Whether product() can do the call's epilogue with it.
bool fuses(const GemmCall&, const GemmOperands&);
// Queues the product with bias and epilogue. Any thread may call it.
void product(Cuda, const GemmCall&, const GemmOperands&);

}  // namespace fusor::ops::kernels::library
