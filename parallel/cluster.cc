#include "parallel/cluster.h"

#include <algorithm>
#include <cmath>

#include "runtime/error.h"

namespace fusor {

double Curve::at(double size) const {
  const auto next = std::upper_bound(points.begin(), points.end(), size,
                                     [](double s, const Point& p) { return s < p.size; });
  if (next == points.begin()) return next->share * size / next->size;
  const Point& below = next[-1];
  if (next == points.end()) return below.share;
  const double way = std::log(size / below.size) / std::log(next->size / below.size);
  return below.share + way * (next->share - below.share);
}

double Cluster::peak(DType dtype) const {
  switch (dtype) {
    case DType::f64:
      return peak_f64;
    case DType::f32:
      return peak_f32;
    case DType::bf16:
    case DType::f16:
      return peak_bf16;
    default:
      raise("no peak rate of matrix products in " + std::string(name_of(dtype)));
  }
}

}  // namespace fusor
