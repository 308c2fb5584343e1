#pragma once
#include <cstdint>

#include "ops/tape.h"

namespace fusor {

// y = x P(X < x) of a standard normal X, element by element; x of any shape.
//   erf:   y = x (1 + erf(x / sqrt(2))) / 2
//   tanh:  y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, close to it
// Hendrycks and Gimpel, "Gaussian error linear units", 2016. GPT-2 takes the tanh form, BERT and
// ViT the other.
enum class GeluForm : std::uint8_t { tanh, erf };
Var gelu(const Var& x, GeluForm form = GeluForm::tanh);

namespace ops {

// y = gelu(x), and dx = (add ? dx : 0) + dy gelu'(x). y may be x, and dx may be dy.
void gelu(const Tensor& x, const Tensor& y, GeluForm form = GeluForm::tanh);
void gelu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx, bool add,
                   GeluForm form = GeluForm::tanh);

}  // namespace ops
}  // namespace fusor
