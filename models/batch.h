#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor.h"

namespace fusor {

// One input of a model, as every micro-batch of a shape holds it on a rank.
struct Field {
  std::string name;  // "tokens"
  Shape shape;       // [samples, ...]
  DType dtype;
  bool operator==(const Field&) const = default;
};

// What a micro-batch looks like to a rank. A run may have several shapes (by the length of its
// samples, or by the modalities that are there): all are known before it begins, and which one a
// micro-batch has is known to every rank without a message.
struct BatchShape {
  std::string name;  // empty where a run has one shape
  std::int64_t samples = 0;
  std::vector<Field> fields;

  bool has(std::string_view field) const;
  // Throws Error that names a field that is not there.
  const Field& operator[](std::string_view field) const;
  // What the names of programs that run on it end in: "@name", or nothing.
  std::string suffix() const { return name.empty() ? "" : "@" + name; }
  bool operator==(const BatchShape&) const = default;
};

// A micro-batch, or where a part of a model does not read it, its shape alone.
struct Batch {
  BatchShape shape;
  std::vector<Tensor> values;  // of shape.fields, in their order; or none

  // A batch of this shape on `device`, not initialised.
  static Batch empty(const BatchShape& shape, const Device& device);
  bool has(std::string_view field) const { return shape.has(field); }
  // Throws Error that names a field that is not there, or has no values here.
  const Tensor& operator[](std::string_view field) const;
  // The same as one dim.
  Tensor flat(std::string_view field) const;
};

}  // namespace fusor
