#include "ops/column_major.h"
#include "ops/cuda.h"
#include "ops/cuda_math.h"
#include "ops/gemm_library.h"

namespace fusor::ops::kernels {
namespace {

// C: the dtype of the result. One thread a column of d, which is a row of c.
template <class T, class C>
__global__ void product_kernel(GemmCall call, ColumnMajor to, const T* right, const T* left,
                               const T* bias, C* d, C* aux) {
  using A = acc_t<T>;
  for (std::int64_t col = cuda::first_round(); col < to.cols; col += cuda::rounds_at_once())
    for (std::int64_t row = 0; row < to.rows; ++row) {
      A sum = 0;
      for (std::int64_t i = 0; i < to.inner; ++i)
        sum += cuda::load(left[to.left_transposed ? row * to.inner + i : i * to.rows + row]) *
               cuda::load(right[to.right_transposed ? i * to.cols + col : col * to.inner + i]);
      const std::int64_t at = col * to.rows + row;
      if (bias) sum += cuda::load(bias[row]);
      if (call.epilogue == Epilogue::dgelu) sum *= cuda::dgelu(A(cuda::load(aux[at])));
      if (call.epilogue == Epilogue::gelu_aux) cuda::store(aux[at], sum);
      if (call.epilogue == Epilogue::gelu || call.epilogue == Epilogue::gelu_aux)
        sum = cuda::gelu(sum);
      cuda::put(call.add, d[at], sum);
    }
}

template <class T, class C>
void loops(Cuda on, const GemmCall& call, const GemmOperands& o) {
  const ColumnMajor to = column_major(call);
  cuda::run(on, {.blocks = to.cols, .threads = 1}, product_kernel<T, C>, call, to,
            reinterpret_cast<const T*>(o.a), reinterpret_cast<const T*>(o.b),
            reinterpret_cast<const T*>(o.bias), reinterpret_cast<C*>(o.c),
            reinterpret_cast<C*>(o.aux));
}

}  // namespace

std::size_t library::workspace() { return 0; }

// As cuBLASLt on Hopper (matrix_products.h).
bool library::fuses(const GemmCall& call, const GemmOperands&) {
  return is_half(call.dtype) && (!has_aux(call) || column_major(call).rows % 8 == 0);
}

void library::product(Cuda on, const GemmCall& call, const GemmOperands& operands) {
  on_float(call.dtype, [&]<class T> {
    if (call.product == Product::tn)
      loops<T, acc_t<T>>(on, call, operands);
    else
      loops<T, T>(on, call, operands);
  });
}

}  // namespace fusor::ops::kernels
