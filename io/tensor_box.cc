#include "io/tensor_box.h"

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <utility>

#include "runtime/error.h"

namespace fusor {
namespace {

// Where two boxes that overlap meet, in elements of either.
struct Common {
  Shape extent;
  Shape source_stride, target_stride;
  std::int64_t from = 0, to = 0;  // the first common element's place
};

Common common_part(const Shape& source_begin, const Shape& source_shape, const Shape& target_begin,
                   const Shape& target_shape) {
  const std::size_t rank = source_shape.size();
  Common c{Shape(rank), Shape(rank), Shape(rank)};
  std::int64_t source_size = 1, target_size = 1;
  for (std::size_t d = rank; d-- > 0;) {
    const std::int64_t low = std::max(source_begin[d], target_begin[d]);
    c.extent[d] =
        std::min(source_begin[d] + source_shape[d], target_begin[d] + target_shape[d]) - low;
    c.source_stride[d] = std::exchange(source_size, source_size * source_shape[d]);
    c.target_stride[d] = std::exchange(target_size, target_size * target_shape[d]);
    c.from += (low - source_begin[d]) * c.source_stride[d];
    c.to += (low - target_begin[d]) * c.target_stride[d];
  }
  return c;
}

// Appends elements [begin, end) of `box`, whose dims before `dim` have one index each.
void append_range(const TensorBox& box, std::size_t dim, std::int64_t begin, std::int64_t end,
                  std::vector<TensorBox>& boxes) {
  if (begin == end) return;
  std::int64_t inner = 1;  // elements of one index of dim
  for (std::size_t d = dim + 1; d < box.shape.size(); ++d) inner *= box.shape[d];
  const auto indices = [&](std::int64_t first, std::int64_t last) {
    TensorBox part = box;
    if (box.shape.empty()) return part;
    part.begin[dim] += first;
    part.shape[dim] = last - first;
    return part;
  };
  const std::int64_t first = begin / inner, last = end / inner;
  const auto row = [&](std::int64_t i, std::int64_t from, std::int64_t to) {
    append_range(indices(i, i + 1), dim + 1, from, to, boxes);
  };
  if (begin % inner == 0 && end % inner == 0) return boxes.push_back(indices(first, last));
  if (first == last) return row(first, begin % inner, end % inner);
  if (begin % inner != 0) row(first, begin % inner, inner);
  const std::int64_t whole = (begin + inner - 1) / inner;
  append_range(box, dim, whole * inner, last * inner, boxes);
  row(last, 0, end % inner);
}

}  // namespace

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

std::vector<TensorBox> boxes_of_range(const TensorBox& box, std::int64_t begin, std::int64_t end) {
  require(0 <= begin && begin <= end && end <= num_elements(box.shape), text_of(box),
          " has no elements ", begin, " to ", end);
  std::vector<TensorBox> boxes;
  append_range(box, 0, begin, end, boxes);
  return boxes;
}

void for_each_common_run(
    const Shape& source_begin, const Shape& source_shape, const Shape& target_begin,
    const Shape& target_shape,
    const std::function<void(std::int64_t from, std::int64_t to, std::int64_t count)>& copy) {
  if (!overlap(source_begin, source_shape, target_begin, target_shape)) return;
  const Common c = common_part(source_begin, source_shape, target_begin, target_shape);
  // A run spans the dims from `outer` on: all but its first are whole in both boxes.
  std::size_t outer = c.extent.size();
  std::int64_t count = 1;
  while (outer > 0 && count == c.source_stride[outer - 1] && count == c.target_stride[outer - 1])
    count *= c.extent[--outer];
  Shape at(outer, 0);
  for (std::int64_t from = c.from, to = c.to;;) {
    copy(from, to, count);
    std::size_t d = outer;
    while (d > 0 && ++at[d - 1] == c.extent[d - 1]) {  // carry
      --d;
      from -= (c.extent[d] - 1) * c.source_stride[d];
      to -= (c.extent[d] - 1) * c.target_stride[d];
      at[d] = 0;
    }
    if (d == 0) return;
    from += c.source_stride[d - 1];
    to += c.target_stride[d - 1];
  }
}

}  // namespace fusor
