#include "ops/fill.h"

#include "ops/fill_kernels.h"

namespace fusor::ops {

void fill(const Tensor& t, double value) {
  launch(t.device(), "fill", {.bytes = static_cast<double>(t.bytes())}, [&](auto device) {
    on_float(t.dtype(), [&]<class T> { kernels::fill(device, t.size(), t.data<T>(), value); });
  });
}

void fill_normal(const Tensor& t, double std, RandomKey key, const BoxRange& range) {
  require(range.row > 0 && range.row <= range.stride, "fill_normal: rows of ", range.row,
          " elements, ", range.stride, " apart");
  launch(t.device(), "fill_normal", {.bytes = static_cast<double>(t.bytes())}, [&](auto device) {
    on_float(t.dtype(), [&]<class T> {
      kernels::fill_normal(device, t.size(), t.data<T>(), std, key, range);
    });
  });
}

void convert(const Tensor& from, const Tensor& to) {
  require(from.size() == to.size(), "convert: ", from.shape(), " to ", to.shape());
  const Cost cost{.bytes = static_cast<double>(from.bytes() + to.bytes())};
  launch(to.device(), "convert", cost, [&](auto device) {
    on_float(from.dtype(), [&]<class From> {
      on_float(to.dtype(), [&]<class To> {
        kernels::convert(device, from.size(), from.data<From>(), to.data<To>());
      });
    });
  });
}

}  // namespace fusor::ops
