#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ops/tape.h"

namespace fusor {

// How a weight starts: normal(0, std) per global element, or the constant where std is 0.
struct Fill {
  double std = 0, constant = 0;
};

// Consecutive rows of a parameter's leading dim that are one tensor to the outside (q, k and v of a
// fused projection): what checkpoints and random streams know by name.
struct Piece {
  std::string name;  // "block.0.attn.q.weight"
  std::int64_t rows;
};

// A trainable tensor of a module. Declared with shape and start; a ParameterStore gives it memory.
struct Parameter {
  std::vector<Piece> pieces;
  Shape shape;
  Fill fill;
  bool decay;  // weight decay: matrices yes; gains, biases no
  Var var{};

  Parameter(std::string name, Shape shape, Fill fill)
      : Parameter({{std::move(name), shape.at(0)}}, shape, fill) {}
  Parameter(std::vector<Piece> pieces, Shape shape, Fill fill)
      : pieces(std::move(pieces)),
        shape(std::move(shape)),
        fill(fill),
        decay(this->shape.size() > 1) {}

  operator const Var&() const { return var; }
};

// How modules name their parameters to the outside, in the order of the forward pass.
using Visitor = std::function<void(Parameter&)>;

}  // namespace fusor
