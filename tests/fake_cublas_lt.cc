#include "tests/fake_cublas_lt.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/dtype.h"

namespace fusor {
namespace {

FakeCublasLt fake;

struct Product {
  cublasComputeType_t compute_type;
  cudaDataType_t scale_type;
  std::map<int, std::uint64_t> attributes;
  std::uint64_t operator[](int attribute) const {
    const auto found = attributes.find(attribute);
    return found == attributes.end() ? 0 : found->second;
  }
};

struct Layout {
  cudaDataType_t type;
  std::int64_t rows, cols, ld;
};

struct Preference {
  std::map<int, std::uint64_t> attributes;
};

// The library's handles are pointers to structs of its own.
template <class T, class Handle>
T& at(Handle handle) {
  return *reinterpret_cast<T*>(handle);
}
template <class T, class Handle>
cublasStatus_t make(Handle* handle, T value) {
  *handle = reinterpret_cast<Handle>(new T(std::move(value)));
  ++fake.alive;
  return CUBLAS_STATUS_SUCCESS;
}
template <class T, class Handle>
cublasStatus_t destroy(Handle handle) {
  delete &at<T>(handle);
  --fake.alive;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t set(std::map<int, std::uint64_t>& to, int attribute, const void* value,
                   std::size_t bytes, std::size_t expected) {
  if (bytes != expected) return CUBLAS_STATUS_INVALID_VALUE;
  std::uint64_t& place = to[attribute] = 0;
  std::memcpy(&place, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

std::size_t bytes_of(cublasLtMatmulDescAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return 8;
    default:
      return 4;
  }
}

double read(cudaDataType_t type, const void* data, std::int64_t i) {
  switch (type) {
    case CUDA_R_64F:
      return static_cast<const double*>(data)[i];
    case CUDA_R_32F:
      return static_cast<const float*>(data)[i];
    case CUDA_R_16F:
      return static_cast<float>(static_cast<const f16*>(data)[i]);
    default:
      return static_cast<float>(static_cast<const bf16*>(data)[i]);
  }
}

void write(cudaDataType_t type, void* data, std::int64_t i, double x) {
  switch (type) {
    case CUDA_R_64F:
      static_cast<double*>(data)[i] = x;
      return;
    case CUDA_R_32F:
      static_cast<float*>(data)[i] = static_cast<float>(x);
      return;
    case CUDA_R_16F:
      static_cast<f16*>(data)[i] = f16(static_cast<float>(x));
      return;
    default:
      static_cast<bf16*>(data)[i] = bf16(static_cast<float>(x));
  }
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double dgelu(double x) {
  const double t = std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

// What the product's epilogue makes of element (row, col) of alpha a b + beta c.
double finished(const Product& p, cudaDataType_t type, double x, std::int64_t row,
                std::int64_t col) {
  const auto epilogue = static_cast<int>(p[CUBLASLT_MATMUL_DESC_EPILOGUE]);
  auto* const aux = reinterpret_cast<void*>(p[CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER]);
  const auto at = col * static_cast<std::int64_t>(p[CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD]) + row;
  if (epilogue == CUBLASLT_EPILOGUE_DGELU) return x * dgelu(read(type, aux, at));
  if (epilogue & CUBLASLT_EPILOGUE_BIAS)
    x += read(type, reinterpret_cast<void*>(p[CUBLASLT_MATMUL_DESC_BIAS_POINTER]), row);
  if (!(epilogue & CUBLASLT_EPILOGUE_GELU)) return x;
  if ((epilogue & CUBLASLT_EPILOGUE_GELU_AUX) == CUBLASLT_EPILOGUE_GELU_AUX)
    write(type, aux, at, x);
  return gelu(x);
}

bool is_transposed(const Product& p, cublasLtMatmulDescAttributes_t of) {
  return p[of] == CUBLAS_OP_T;
}

// The documented conditions on descriptors.
bool agree(const Product& p, const Layout& a, const Layout& b, const Layout& d) {
  const bool ta = is_transposed(p, CUBLASLT_MATMUL_DESC_TRANSA),
             tb = is_transposed(p, CUBLASLT_MATMUL_DESC_TRANSB);
  const bool has_aux = p[CUBLASLT_MATMUL_DESC_EPILOGUE] & 128;
  const auto aux_ld = static_cast<std::int64_t>(p[CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD]);
  return (ta ? a.cols : a.rows) == d.rows && (tb ? b.rows : b.cols) == d.cols &&
         (ta ? a.rows : a.cols) == (tb ? b.cols : b.rows) && a.ld >= a.rows && b.ld >= b.rows &&
         d.ld >= d.rows && (!has_aux || (aux_ld % 8 == 0 && aux_ld >= d.rows));
}

constexpr int kPlace = 2;  // in an algorithm's data, where no preference stands

cublasStatus_t algorithms(cublasLtHandle_t, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
                          cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t,
                          cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                          int asked, cublasLtMatmulHeuristicResult_t* results, int* count) {
  const Product& p = at<Product>(product);
  *count = 0;
  if (!agree(p, at<Layout>(a), at<Layout>(b), at<Layout>(d))) return CUBLAS_STATUS_INVALID_VALUE;
  ++fake.queries;
  fake.preferences = at<Preference>(preference).attributes;
  const auto epilogue = static_cast<cublasLtEpilogue_t>(p[CUBLASLT_MATMUL_DESC_EPILOGUE]);
  if (std::ranges::find(fake.lacks, epilogue) != fake.lacks.end())
    return CUBLAS_STATUS_NOT_SUPPORTED;
  *count = std::min(asked, fake.named);
  for (int i = 0; i < *count; ++i) {  // an algorithm knows what it was found for
    for (const auto& [attribute, value] : fake.preferences)
      results[i].algo.data[attribute % 8] = value;
    results[i].algo.data[kPlace] = static_cast<std::uint64_t>(i);
    results[i].state = CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}

bool is_multiple(const void* p, std::uint64_t of) {
  return reinterpret_cast<std::uintptr_t>(p) % of == 0;
}

cublasStatus_t multiply(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha,
                        const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                        cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                        cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t d_layout,
                        const cublasLtMatmulAlgo_t* algorithm, void* workspace, std::size_t bytes,
                        cudaStream_t) {
  const Product& p = at<Product>(product);
  const Layout &la = at<Layout>(a_layout), &lb = at<Layout>(b_layout), &ld = at<Layout>(d_layout);
  const std::uint64_t* const found_for = algorithm->data;
  if (!is_multiple(a, found_for[CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES]) ||
      !is_multiple(b, found_for[CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES]) ||
      !is_multiple(c, found_for[CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES]) ||
      bytes < found_for[CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES] || !is_multiple(workspace, 256) ||
      !agree(p, la, lb, ld))
    return CUBLAS_STATUS_INVALID_VALUE;
  ++fake.products;
  fake.compute_type = p.compute_type;
  fake.place = found_for[kPlace];
  const bool ta = is_transposed(p, CUBLASLT_MATMUL_DESC_TRANSA),
             tb = is_transposed(p, CUBLASLT_MATMUL_DESC_TRANSB);
  const double scale = read(p.scale_type, alpha, 0), keep = read(p.scale_type, beta, 0);
  for (std::int64_t col = 0; col < ld.cols; ++col)
    for (std::int64_t row = 0; row < ld.rows; ++row) {
      double sum = 0;
      for (std::int64_t i = 0; i < (ta ? la.rows : la.cols); ++i)
        sum += read(la.type, a, ta ? row * la.ld + i : i * la.ld + row) *
               read(lb.type, b, tb ? i * lb.ld + col : col * lb.ld + i);
      const std::int64_t to = col * ld.ld + row;
      const double before = keep != 0 ? keep * read(ld.type, c, to) : 0;
      write(ld.type, d, to, finished(p, ld.type, scale * sum + before, row, col));
    }
  return CUBLAS_STATUS_SUCCESS;
}

constexpr std::size_t kVersion = 130100;

const ops::CublasLt kTable{
    .version = [] { return kVersion; },
    .status_text = [](cublasStatus_t) { return "an invalid value was passed"; },
    .create = [](cublasLtHandle_t* handle) { return make(handle, 0); },
    .destroy = destroy<int>,
    .create_product =
        [](cublasLtMatmulDesc_t* product, cublasComputeType_t compute, cudaDataType_t scale) {
          return make(product, Product{compute, scale, {}});
        },
    .destroy_product = destroy<Product>,
    .set_product =
        [](cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute,
           const void* value, std::size_t bytes) {
          return set(at<Product>(product).attributes, attribute, value, bytes, bytes_of(attribute));
        },
    .create_layout =
        [](cublasLtMatrixLayout_t* layout, cudaDataType_t type, std::uint64_t rows,
           std::uint64_t cols, std::int64_t ld) {
          return make(layout, Layout{type, static_cast<std::int64_t>(rows),
                                     static_cast<std::int64_t>(cols), ld});
        },
    .destroy_layout = destroy<Layout>,
    .create_preference =
        [](cublasLtMatmulPreference_t* preference) { return make(preference, Preference{}); },
    .destroy_preference = destroy<Preference>,
    .set_preference =
        [](cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
           const void* value, std::size_t bytes) {
          return set(at<Preference>(preference).attributes, attribute, value, bytes,
                     attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4);
        },
    .algorithms = algorithms,
    .multiply = multiply};

}  // namespace

FakeCublasLt& fresh_fake() { return fake = {}; }
const ops::CublasLt& fake_cublas_lt() { return kTable; }

}  // namespace fusor
