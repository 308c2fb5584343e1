#include "parallel/parameter_range.h"

#include <algorithm>

namespace fusor {
namespace {

// Where the rows of a piece that this rank holds lie in the whole.
TensorBox box_of(const Parameter& parameter, const Piece& piece) {
  TensorBox box;
  box.shape = box.global = parameter.shape;
  box.begin = Shape(box.shape.size(), 0);
  box.shape[0] = piece.rows;
  box.global[0] = piece.whole > 0 ? piece.whole : piece.rows;
  box.begin[0] = piece.first;
  if (parameter.whole_columns > 0) {
    box.global[1] = parameter.whole_columns;
    box.begin[1] = parameter.first_column;
  }
  return box;
}

}  // namespace

ops::BoxRange PieceRange::indices() const {
  if (box.shape.size() < 2 || box.global[1] == box.shape[1]) {
    const std::int64_t row = box.shape[0] > 0 ? num_elements(box.shape) / box.shape[0] : 0;
    return {.first = box.begin[0] * row, .begin = begin};
  }
  return {.first = box.begin[0] * box.global[1] + box.begin[1],
          .begin = begin,
          .row = box.shape[1],
          .stride = box.global[1]};
}

std::vector<PieceRange> ranges_of(const Parameter& parameter, std::int64_t begin,
                                  std::int64_t end) {
  std::vector<PieceRange> ranges;
  std::int64_t first = 0;  // element of the parameter where the piece begins
  for (const Piece& piece : parameter.pieces) {
    TensorBox box = box_of(parameter, piece);
    const std::int64_t size = num_elements(box.shape);
    const std::int64_t from = std::clamp(begin - first, std::int64_t{0}, size),
                       to = std::clamp(end - first, std::int64_t{0}, size);
    if (from < to) ranges.push_back({&piece, std::move(box), from, to});
    first += size;
  }
  return ranges;
}

bool split_over_tp(const Parameter& parameter) {
  return (parameter.whole_columns > 0 && parameter.whole_columns != parameter.shape[1]) ||
         std::ranges::any_of(parameter.pieces,
                             [](const Piece& p) { return p.whole > 0 && p.whole != p.rows; });
}

}  // namespace fusor
