#pragma once
#include <cublasLt.h>

#include <source_location>
#include <string>

// cuBLASLt, loaded when the first matrix product runs on a GPU. Included by sources of the CUDA
// build alone.
namespace fusor::ops {

// The functions of the library that Fusor calls. Tests put their own in their place.
struct CublasLt {
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusString) status_text;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) algorithms;
  decltype(&cublasLtMatmul) multiply;

  // Throws Error with the library's own text unless status is success; `what` leads the message.
  void check(cublasStatus_t status, const std::string& what,
             std::source_location at = std::source_location::current()) const;
};

// The library of this process, loaded by the first call. Throws Error where it is not to be found,
// or is of a version that runtime/library_faults.h refuses. Any thread may call it.
const CublasLt& cublas_lt();

}  // namespace fusor::ops
