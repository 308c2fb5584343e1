#include "ops/matrix_products.h"

#include <algorithm>
#include <sstream>

#include "ops/column_major.h"

namespace fusor::ops::kernels {
namespace {

cudaDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return CUDA_R_64F;
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    default:
      break;
  }
  std::ostringstream text;
  text << "no matrix product of " << dtype;
  raise(text.str());
}

DType result_dtype(const GemmCall& call) {
  return call.product == Product::tn ? acc_dtype(call.dtype) : call.dtype;
}

std::string text_of(const GemmCall& call) {
  constexpr const char* kNames[] = {"nt", "nn", "tn"};
  std::ostringstream text;
  text << "cuBLAS, gemm_" << kNames[static_cast<int>(call.product)] << " of " << call.dtype
       << " with m " << call.m << ", n " << call.n << ", k " << call.k;
  return text.str();
}

// The largest power of two, up to what any kernel asks for, that divides the address.
std::uint32_t alignment_of(const std::byte* p) {
  constexpr std::uint32_t kMost = 16;
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  return address % kMost == 0 ? kMost : static_cast<std::uint32_t>(address & -address);
}

cublasLtEpilogue_t epilogue_of(const GemmCall& call) {
  switch (call.epilogue) {
    case Epilogue::none:
      return call.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::gelu:
      return call.bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    case Epilogue::gelu_aux:
      return call.bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    case Epilogue::dgelu:
      return CUBLASLT_EPILOGUE_DGELU;
  }
  raise("no such epilogue");
}

template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

}  // namespace

struct MatrixProducts::Prepared {
  Owned<cublasLtMatmulDesc_t> product;
  Owned<cublasLtMatrixLayout_t> left, right, result;
  cublasLtMatmulAlgo_t algorithm{};
  int named = 0;       // algorithms, up to the one that was asked for
  bool found = false;  // the library has that one
};

namespace {

Owned<cublasLtMatmulDesc_t> make_product(const CublasLt& lt, const GemmCall& call) {
  const bool wide = call.dtype == DType::f64;
  cublasLtMatmulDesc_t product = nullptr;
  lt.check(lt.create_product(&product, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                             wide ? CUDA_R_64F : CUDA_R_32F),
           "cublasLtMatmulDescCreate");
  return {product, lt.destroy_product};
}

Owned<cublasLtMatrixLayout_t> make_layout(const CublasLt& lt, DType dtype, std::int64_t rows,
                                          std::int64_t cols) {
  cublasLtMatrixLayout_t layout = nullptr;
  lt.check(lt.create_layout(&layout, type_of(dtype), static_cast<std::uint64_t>(rows),
                            static_cast<std::uint64_t>(cols), rows),
           "cublasLtMatrixLayoutCreate");
  return {layout, lt.destroy_layout};
}

template <class T>
void set(const CublasLt& lt, cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute,
         const T& value) {
  lt.check(lt.set_product(product, attribute, &value, sizeof value),
           "cublasLtMatmulDescSetAttribute");
}

template <class T>
void set(const CublasLt& lt, cublasLtMatmulPreference_t preference,
         cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  lt.check(lt.set_preference(preference, attribute, &value, sizeof value),
           "cublasLtMatmulPreferenceSetAttribute");
}

void point(const CublasLt& lt, cublasLtMatmulDesc_t product, const GemmCall& call,
           const GemmOperands& o) {
  if (call.bias) set(lt, product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, o.bias);
  if (has_aux(call)) set(lt, product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, o.aux);
}

// Partial sums of a split product are kept in f32, so that a 16-bit result is rounded once.
Owned<cublasLtMatmulPreference_t> make_preference(const CublasLt& lt,
                                                  const std::array<std::uint32_t, 5>& alignments) {
  cublasLtMatmulPreference_t made = nullptr;
  lt.check(lt.create_preference(&made), "cublasLtMatmulPreferenceCreate");
  Owned<cublasLtMatmulPreference_t> preference(made, lt.destroy_preference);
  const auto [a, b, c, bias, aux] = alignments;
  set(lt, made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  set(lt, made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(lt, made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b);  // column_major.h: left is b
  set(lt, made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a);
  set(lt, made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c);
  set(lt, made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c);
  return preference;
}

}  // namespace

MatrixProducts::MatrixProducts(const CublasLt& library, bool fuse_gelu)
    : library_(library), fuse_gelu_(fuse_gelu) {
  library.check(library.create(&handle_), "cublasLtCreate");
}

MatrixProducts::~MatrixProducts() { library_.destroy(handle_); }

MatrixProducts::Prepared MatrixProducts::prepare(const Key& key, const GemmOperands& o) const {
  const CublasLt& lt = library_;
  const GemmCall& call = key.call;
  const ColumnMajor to = column_major(call);
  Prepared p{make_product(lt, call), make_layout(lt, call.dtype, to.left_rows(), to.left_cols()),
             make_layout(lt, call.dtype, to.right_rows(), to.right_cols()),
             make_layout(lt, result_dtype(call), to.rows, to.cols)};
  const auto op = [](bool transposed) {
    return std::int32_t{transposed ? CUBLAS_OP_T : CUBLAS_OP_N};
  };
  set(lt, p.product.get(), CUBLASLT_MATMUL_DESC_TRANSA, op(to.left_transposed));
  set(lt, p.product.get(), CUBLASLT_MATMUL_DESC_TRANSB, op(to.right_transposed));
  set(lt, p.product.get(), CUBLASLT_MATMUL_DESC_EPILOGUE,
      static_cast<std::uint32_t>(epilogue_of(call)));
  if (has_aux(call)) set(lt, p.product.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, to.rows);
  point(lt, p.product.get(), call, o);  // the heuristics read the pointers' alignment
  std::vector<cublasLtMatmulHeuristicResult_t> best(static_cast<std::size_t>(key.place) + 1);
  const cublasStatus_t status = lt.algorithms(
      handle_, p.product.get(), p.left.get(), p.right.get(), p.result.get(), p.result.get(),
      make_preference(lt, key.alignments).get(), key.place + 1, best.data(), &p.named);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) lt.check(status, text_of(call));
  p.found = status == CUBLAS_STATUS_SUCCESS && p.named > key.place &&
            best.back().state == CUBLAS_STATUS_SUCCESS;
  p.algorithm = best.back().algo;
  return p;
}

const MatrixProducts::Prepared& MatrixProducts::prepared(const GemmCall& call,
                                                         const GemmOperands& o, int place) {
  const Key key{call,
                {alignment_of(o.a), alignment_of(o.b), alignment_of(o.c), alignment_of(o.bias),
                 alignment_of(o.aux)},
                place};
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  return known_.emplace(key, prepare(key, o)).first->second;
}

bool MatrixProducts::fuses(const GemmCall& call, const GemmOperands& o) {
  constexpr std::int64_t kAuxMultiple = 8;  // of the rows of aux, says cublasLt.h
  if (!fuse_gelu_ || !is_half(call.dtype)) return false;
  if (has_aux(call) && column_major(call).rows % kAuxMultiple != 0) return false;
  const std::scoped_lock lock(mutex_);
  return prepared(call, o).found;
}

int MatrixProducts::num_algorithms(const GemmCall& call, const GemmOperands& o, int most) {
  const std::scoped_lock lock(mutex_);
  return prepared(call, o, most - 1).named;
}

void MatrixProducts::run(const GemmCall& call, const GemmOperands& o, cudaStream_t stream,
                         int place) {
  const std::scoped_lock lock(mutex_);
  const Prepared& p = prepared(call, o, place);
  if (!p.found) raise(text_of(call) + ": no algorithm for this GPU");
  point(library_, p.product.get(), call, o);
  const float alpha = 1, beta = call.add ? 1 : 0;
  const double wide_alpha = alpha, wide_beta = beta;
  const bool wide = call.dtype == DType::f64;
  const auto of = [&](const auto& narrow, const auto& other) {
    return wide ? static_cast<const void*>(&other) : &narrow;
  };
  library_.check(
      library_.multiply(handle_, p.product.get(), of(alpha, wide_alpha), o.b, p.left.get(), o.a,
                        p.right.get(), of(beta, wide_beta), o.c, p.result.get(), o.c,
                        p.result.get(), &p.algorithm, o.workspace, kWorkspaceBytes, stream),
      text_of(call));
}

}  // namespace fusor::ops::kernels
