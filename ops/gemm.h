#pragma once
#include "runtime/tensor.h"

// The three matrix products of a linear layer, each in the orientation its operands lie in. T is
// the dtype of the activations and weights; sums are kept in acc_t<T>.
namespace fusor::ops {

// What becomes of a product z before it is written; gelu is the tanh form of ops/gelu.h.
enum class Epilogue : std::uint8_t {
  none,
  gelu,      // y = gelu(z)
  gelu_aux,  // aux = z, y = gelu(z)
  dgelu      // dx = z gelu'(aux)
};

// y [m, n] = epilogue(x [m, k] w [n, k]^T + bias [n]); bias may be undefined. aux [m, n], for
// gelu_aux alone, is of y's dtype.
void gemm_nt(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y,
             Epilogue epilogue = Epilogue::none, const Tensor& aux = {});

// dx [m, k] = (add ? dx : 0) + dy [m, n] w [n, k]
void gemm_nn(const Tensor& dy, const Tensor& w, const Tensor& dx, bool add);

// dx [m, k] = (add ? dx : 0) + (dy [m, n] w [n, k]) gelu'(aux [m, k])
void gemm_nn_dgelu(const Tensor& dy, const Tensor& w, const Tensor& aux, const Tensor& dx,
                   bool add);

// dw [n, k] = (add ? dw : 0) + dy [m, n]^T x [m, k]; dw is of acc_dtype(x)
void gemm_tn(const Tensor& dy, const Tensor& x, const Tensor& dw, bool add);

}  // namespace fusor::ops
