#pragma once
#include <cstdint>
#include <vector>

#include "io/tensor_box.h"
#include "ops/fill.h"
#include "parallel/parameter.h"

namespace fusor {

// Elements [begin, end) of `box`, counted in row-major order: what a flat slice of a parameter
// holds of one of its pieces, whose part on this rank is the box. The box has no name or dtype yet.
struct PieceRange {
  const Piece* piece;
  TensorBox box;
  std::int64_t begin, end;

  std::int64_t size() const { return end - begin; }
  ops::BoxRange indices() const;  // of these elements in the whole piece
};

// Elements [begin, end) of a parameter, one after the other.
std::vector<PieceRange> ranges_of(const Parameter&, std::int64_t begin, std::int64_t end);

// Whether the ranks of tp hold different parts of the parameter, not each a copy.
bool split_over_tp(const Parameter&);

}  // namespace fusor
