#include "ops/running_mean.h"

#include <vector>

#include "ops/running_mean_kernels.h"

namespace fusor::ops {
namespace {

void check(const RunningMean& m, DType dtype, std::size_t i) {
  require(m.value.dtype() == dtype, "follow_means: value ", i, " is ", m.value.dtype(),
          ", value 0 ", dtype);
  for (const Tensor* t : {&m.master, &m.sum})
    require(t->size() == m.value.size() && t->dtype() == acc_dtype(dtype), "follow_means: value ",
            i, " ", m.value.shape(), " ", dtype, " with master or sum ", t->shape(), " ",
            t->dtype());
}

template <class T>
std::vector<kernels::RunningMeanArrays<T>> arrays_of(std::span<const RunningMean> means,
                                                     std::int64_t count) {
  using A = acc_t<T>;
  std::vector<kernels::RunningMeanArrays<T>> arrays;
  for (const RunningMean& m : means)
    arrays.push_back({m.value.data<T>(), m.master.data<A>(), m.sum.data<A>(), m.value.size(),
                      static_cast<A>(1 - m.rate),
                      static_cast<A>(m.rate / static_cast<double>(count))});
  return arrays;
}

}  // namespace

void follow_means(std::span<const RunningMean> means, std::int64_t count,
                  const Tensor& grad_scale) {
  require(count > 0, "follow_means: a mean of ", count);
  if (means.empty()) return;
  const DType dtype = means[0].value.dtype();
  Cost cost;
  for (std::size_t i = 0; i < means.size(); ++i) {
    check(means[i], dtype, i);
    cost.flops += 3.0 * static_cast<double>(means[i].value.size());
    cost.bytes += static_cast<double>(means[i].value.bytes() + 3 * means[i].sum.bytes());
  }
  launch(means[0].value.device(), "follow_means", cost, [&](auto device) {
    on_float(dtype, [&]<class T> {
      kernels::follow_means<T>(device, arrays_of<T>(means, count), grad_scale.data<double>());
    });
  });
}

}  // namespace fusor::ops
