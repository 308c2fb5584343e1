#include "models/batch.h"

#include <algorithm>

namespace fusor {
namespace {

std::size_t index_of(const BatchShape& shape, std::string_view field) {
  const auto found = std::ranges::find(shape.fields, field, &Field::name);
  require(found != shape.fields.end(), "a micro-batch",
          shape.name.empty() ? "" : " of shape " + shape.name, " has no ", field);
  return static_cast<std::size_t>(found - shape.fields.begin());
}

}  // namespace

bool BatchShape::has(std::string_view field) const {
  return std::ranges::find(fields, field, &Field::name) != fields.end();
}

const Field& BatchShape::operator[](std::string_view field) const {
  return fields[index_of(*this, field)];
}

Batch Batch::empty(const BatchShape& shape, const Device& device) {
  Batch batch{shape, {}};
  for (const Field& field : shape.fields)
    batch.values.emplace_back(field.shape, field.dtype, device);
  return batch;
}

const Tensor& Batch::operator[](std::string_view field) const {
  const std::size_t index = index_of(shape, field);
  require(index < values.size(), "the values of ", field, " are not on this part of the model");
  return values[index];
}

Tensor Batch::flat(std::string_view field) const {
  const Tensor& all = (*this)[field];
  return all.view({all.size()});
}

}  // namespace fusor
