#include "io/draws.h"

#include <cmath>
#include <numbers>

#include "runtime/error.h"

namespace fusor {

// Box and Muller, "A note on the generation of random normal deviates", 1958.
double Draws::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-static_cast<double>(uniform())));
  return radius * std::cos(2 * std::numbers::pi * static_cast<double>(uniform()));
}

// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; below 1 by
// gamma(alpha) = gamma(alpha + 1) u^(1 / alpha).
double Draws::gamma(double alpha) {
  require(alpha > 0, "a gamma distribution needs a positive shape, not ", alpha);
  if (alpha < 1) {
    const double larger = gamma(alpha + 1);
    return larger * std::pow(1 - static_cast<double>(uniform()), 1 / alpha);
  }
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(), root = 1 + c * x, v = root * root * root;
    const double u = 1 - static_cast<double>(uniform());
    if (v > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double Draws::beta(double alpha, double beta) {
  const double a = gamma(alpha), b = gamma(beta);
  return a + b > 0 ? a / (a + b) : 0.5;
}

}  // namespace fusor
