#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "ops/cublas_lt.h"

// A cuBLASLt of the host, written from NVIDIA's documentation: it multiplies column-major matrices
// as the descriptors say, and refuses what the library would refuse or read out of bounds.
namespace fusor {

struct FakeCublasLt {
  std::vector<cublasLtEpilogue_t> lacks;  // epilogues without an algorithm
  int named = 1;                          // algorithms that there are for a product
  int queries = 0, products = 0;
  int alive = 0;                             // handles and descriptors
  std::map<int, std::uint64_t> preferences;  // of the last query, by attribute
  cublasComputeType_t compute_type{};        // of the last product
  std::uint64_t place = 0;                   // of its algorithm among those that were named
};

// As after a start of the process.
FakeCublasLt& fresh_fake();
const ops::CublasLt& fake_cublas_lt();

}  // namespace fusor
