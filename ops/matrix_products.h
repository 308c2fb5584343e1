#pragma once
#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "ops/cublas_lt.h"
#include "ops/gemm_kernels.h"

namespace fusor::ops::kernels {

// What cuBLASLt may use beside the operands: what NVIDIA advises for Hopper, on every GPU, so that
// a rehearsal knows it without one. It begins at a multiple of kWorkspaceAlignment.
inline constexpr std::size_t kWorkspaceBytes = 32 << 20, kWorkspaceAlignment = 256;

// The matrix products of one GPU by cuBLASLt. Which algorithm computes a call is asked once and
// kept. It is the first that the library's heuristics name, a function of the call, the alignment
// of its operands up to 16 bytes, and the kind of GPU: candidates are not timed, since two ranks or
// two runs could then choose different ones, and differ in bits.
class MatrixProducts {
 public:
  // For the GPU that is this thread's now. fuse_gelu: GELU epilogues of 16-bit types are used where
  // the library has them.
  MatrixProducts(const CublasLt&, bool fuse_gelu);
  ~MatrixProducts();
  MatrixProducts(const MatrixProducts&) = delete;
  MatrixProducts& operator=(const MatrixProducts&) = delete;

  // Whether run() can do the call's epilogue. f32 and f64 ones are left to kernels, whose tanh has
  // their precision.
  bool fuses(const GemmCall&, const GemmOperands&);
  // Queues the product, by the algorithm that the heuristics name `place` places behind their
  // first: benchmarks try others. Throws Error that names the shapes where the library refuses. Any
  // thread may call it.
  void run(const GemmCall&, const GemmOperands&, cudaStream_t, int place = 0);
  // How many algorithms the heuristics name, up to `most`.
  int num_algorithms(const GemmCall&, const GemmOperands&, int most);

 private:
  struct Key {
    GemmCall call;
    std::array<std::uint32_t, 5> alignments;  // of a, b, c, bias and aux, bytes
    int place;                                // of the algorithm among those that are named
    auto operator<=>(const Key&) const = default;
  };
  struct Prepared;
  const Prepared& prepared(const GemmCall&, const GemmOperands&, int place = 0);
  Prepared prepare(const Key&, const GemmOperands&) const;

  const CublasLt& library_;
  bool fuse_gelu_;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;  // descriptors hold the pointers of the call that is being queued
  std::map<Key, Prepared> known_;
};

}  // namespace fusor::ops::kernels
