#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/dtype.h"
#include "runtime/shape.h"

namespace fusor {

// The elements [begin, begin + shape) of a logical tensor of shape `global`: what one rank holds of
// it, or asks for. A checkpoint speaks of boxes only, so that any layout reads what any other
// wrote. global, begin and shape have one extent per dim; a scalar has none.
struct TensorBox {
  std::string name;
  DType dtype = DType::f32;
  Shape global;
  Shape begin;
  Shape shape;
};

TensorBox whole_tensor(std::string name, DType dtype, const Shape& global);

// Throws Error naming the tensor when the box does not lie inside the tensor.
void check_box(const TensorBox& box);

// "name" for a whole tensor, "name[2:4, 0:8]" for a part.
std::string text_of(const TensorBox& box);

// Whether two boxes of one tensor share an element.
bool overlap(const Shape& begin_a, const Shape& shape_a, const Shape& begin_b,
             const Shape& shape_b);

// Elements [begin, end) of a box, counted in row-major order, as boxes of the same tensor: one
// after the other they hold these elements in that order. At most 2 rank - 1 of them.
std::vector<TensorBox> boxes_of_range(const TensorBox& box, std::int64_t begin, std::int64_t end);

// Calls copy(from, to, count) for each run of elements that is contiguous in both row-major boxes
// of one tensor: count elements from element `from` of the source are elements [to, to + count) of
// the target. Nothing where the boxes do not meet.
void for_each_common_run(
    const Shape& source_begin, const Shape& source_shape, const Shape& target_begin,
    const Shape& target_shape,
    const std::function<void(std::int64_t from, std::int64_t to, std::int64_t count)>& copy);

}  // namespace fusor
