#include "io/tensor_box.h"

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <utility>
#include <vector>

#include "runtime/error.h"

namespace fusor {

TensorBox whole_tensor(std::string name, DType dtype, const Shape& global) {
  TensorBox box{std::move(name), dtype, global, global, global};
  std::ranges::fill(box.begin, 0);
  return box;
}

void check_box(const TensorBox& box) {
  bool inside = box.begin.size() == box.global.size() && box.shape.size() == box.global.size();
  for (std::size_t d = 0; inside && d < box.global.size(); ++d)
    inside = box.global[d] >= 0 && box.begin[d] >= 0 && box.shape[d] >= 0 &&
             box.begin[d] <= box.global[d] && box.shape[d] <= box.global[d] - box.begin[d];
  require(inside, "tensor \"", box.name, "\" of shape ", box.global, " has no part of shape ",
          box.shape, " at ", box.begin);
}

std::string text_of(const TensorBox& box) {
  if (box.shape == box.global) return box.name;
  std::ostringstream text;
  text << box.name;
  for (std::size_t d = 0; d < box.shape.size(); ++d)
    text << (d == 0 ? "[" : ", ") << box.begin[d] << ':' << box.begin[d] + box.shape[d];
  text << ']';
  return text.str();
}

bool overlap(const Shape& begin_a, const Shape& shape_a, const Shape& begin_b,
             const Shape& shape_b) {
  for (std::size_t d = 0; d < begin_a.size(); ++d) {
    const std::int64_t low = std::max(begin_a[d], begin_b[d]);
    if (low >= std::min(begin_a[d] + shape_a[d], begin_b[d] + shape_b[d])) return false;
  }
  return true;
}

void for_each_common_run(
    const Shape& source_begin, const Shape& source_shape, const Shape& target_begin,
    const Shape& target_shape,
    const std::function<void(std::int64_t from, std::int64_t to, std::int64_t count)>& copy) {
  if (!overlap(source_begin, source_shape, target_begin, target_shape)) return;
  const std::size_t rank = source_shape.size();
  Shape extent(rank);
  std::vector<std::int64_t> source_stride(rank), target_stride(rank);
  std::int64_t from = 0, to = 0, source_size = 1, target_size = 1;
  for (std::size_t d = rank; d-- > 0;) {
    const std::int64_t low = std::max(source_begin[d], target_begin[d]);
    extent[d] =
        std::min(source_begin[d] + source_shape[d], target_begin[d] + target_shape[d]) - low;
    source_stride[d] = std::exchange(source_size, source_size * source_shape[d]);
    target_stride[d] = std::exchange(target_size, target_size * target_shape[d]);
    from += (low - source_begin[d]) * source_stride[d];
    to += (low - target_begin[d]) * target_stride[d];
  }
  // A run spans the dims from `outer` on: all but its first are whole in both boxes.
  std::size_t outer = rank;
  std::int64_t count = 1;
  while (outer > 0 && count == source_stride[outer - 1] && count == target_stride[outer - 1])
    count *= extent[--outer];
  Shape at(outer, 0);
  for (;;) {
    copy(from, to, count);
    std::size_t d = outer;
    while (d > 0 && ++at[d - 1] == extent[d - 1]) {  // carry
      --d;
      from -= (extent[d] - 1) * source_stride[d];
      to -= (extent[d] - 1) * target_stride[d];
      at[d] = 0;
    }
    if (d == 0) return;
    from += source_stride[d - 1];
    to += target_stride[d - 1];
  }
}

}  // namespace fusor
