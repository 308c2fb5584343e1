#include "ops/cublas_lt.h"

#include <algorithm>

#include "runtime/error.h"
#include "runtime/library_faults.h"
#include "runtime/shared_library.h"

namespace fusor::ops {
namespace {

// The release Fusor was built with first; the other one has the same functions.
std::vector<std::string> names() {
  std::vector<std::string> names{"libcublasLt.so.13", "libcublasLt.so.12"};
  if (CUBLAS_VER_MAJOR == 12) std::ranges::reverse(names);
  return names;
}

CublasLt load() {
  const SharedLibrary library(names());
  CublasLt lt{};
  const auto get = [&]<class F>(F*& to, const char* symbol) { to = library.function<F>(symbol); };
  get(lt.version, "cublasLtGetVersion");
  get(lt.status_text, "cublasLtGetStatusString");
  get(lt.create, "cublasLtCreate");
  get(lt.destroy, "cublasLtDestroy");
  get(lt.create_product, "cublasLtMatmulDescCreate");
  get(lt.destroy_product, "cublasLtMatmulDescDestroy");
  get(lt.set_product, "cublasLtMatmulDescSetAttribute");
  get(lt.create_layout, "cublasLtMatrixLayoutCreate");
  get(lt.destroy_layout, "cublasLtMatrixLayoutDestroy");
  get(lt.create_preference, "cublasLtMatmulPreferenceCreate");
  get(lt.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  get(lt.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  get(lt.algorithms, "cublasLtMatmulAlgoGetHeuristic");
  get(lt.multiply, "cublasLtMatmul");
  const std::string fault = fault_of("cuBLAS", static_cast<int>(lt.version()), "matrix products");
  require(fault.empty(), fault, " (", library.file(), ")");
  return lt;
}

}  // namespace

void CublasLt::check(cublasStatus_t status, const std::string& what,
                     std::source_location at) const {
  if (status != CUBLAS_STATUS_SUCCESS) raise(what + ": " + status_text(status), at);
}

const CublasLt& cublas_lt() {
  static const CublasLt library = load();
  return library;
}

}  // namespace fusor::ops
