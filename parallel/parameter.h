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
// fused projection): what checkpoints and random streams know by name. Where ranks hold parts of
// that tensor, these are its rows [first, first + rows) of `whole`.
struct Piece {
  std::string name;  // "block.0.attn.q.weight"
  std::int64_t rows;
  std::int64_t first = 0, whole = 0;  // whole 0: all rows are here
};

// A trainable tensor of a module, as far as this rank holds it. Declared with shape and start; a
// ParameterStore gives it memory.
struct Parameter {
  std::vector<Piece> pieces;
  Shape shape;
  Fill fill;
  bool decay;  // weight decay: matrices yes; gains, biases no
  // Of a matrix: the columns [first_column, first_column + shape[1]) of whole_columns; 0: all.
  std::int64_t first_column = 0, whole_columns = 0;
  bool partial_over_tp = false;  // each rank of tp has a part of the gradient's sum
  bool expert = false;           // copies lie in Mesh::expert_data, not Mesh::data
  // Above 0: no weight but a running mean, such as batch norm's. What gathers as its gradient is a
  // value that every micro-batch hands in, and a step moves it so far towards their mean. It is no
  // part of the gradient's norm, and has no optimizer state.
  double running_rate = 0;
  bool frozen = false;           // training leaves it as it is; set before a store takes it
  Parameter* twin_of = nullptr;  // the same weight, used elsewhere; the two gradients are added
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
