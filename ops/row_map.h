#pragma once
#include <algorithm>
#include <cstdint>

namespace fusor {

// Where the rows of an activation [rows, cols] stand in the step's global batch. Rows are tokens in
// order of (sample, position). What is random in a row, or depends on its position, is a function
// of what this map says, and so the same under every layout. Plain data: kernels take it by value.
//
// A rank holds the same local_len positions of every sample, in one chunk or two (context
// parallelism), and of the rows these make, those from first_row on (sequence parallelism).
struct RowMap {
  std::int64_t first_sample = 0;   // of the micro-batch, within the step's global batch
  std::int64_t seq_len = 1;        // tokens of a whole sample
  std::int64_t local_len = 1;      // tokens of each sample on this rank
  std::int64_t chunk_len = 1;      // those of the first chunk; the second has the rest
  std::int64_t begin[2] = {0, 0};  // the position where each chunk begins
  std::int64_t first_row = 0;      // of the slice, within the rank's rows

  // All tokens of each sample.
  static RowMap whole(std::int64_t first_sample, std::int64_t seq_len);
  // Chunks cp_rank and 2 cp_size - 1 - cp_rank of 2 cp_size equal ones, so that causal attention is
  // the same work on every rank (Brandon et al. 2023, "Striped Attention"; as in Llama 3,
  // https://arxiv.org/abs/2407.21783, section 3.3.2). whole() where cp_size is 1. Throws Error
  // unless seq_len is a multiple of 2 cp_size.
  static RowMap zigzag(std::int64_t first_sample, std::int64_t seq_len, int cp_rank, int cp_size);
  // `count` positions from `first` on of samples that need not be whole: decoding.
  static RowMap positions(std::int64_t first, std::int64_t count);
  // The slice of these rows that begins at row `row`.
  RowMap rows_from(std::int64_t row) const;

  constexpr std::int64_t sample(std::int64_t r) const {
    return first_sample + (first_row + r) / local_len;
  }
  constexpr std::int64_t position(std::int64_t r) const {
    return position_of_local((first_row + r) % local_len);
  }
  constexpr std::int64_t global_row(std::int64_t r) const {
    return sample(r) * seq_len + position(r);
  }
  // The position of the i-th of the tokens that this rank holds of a sample.
  constexpr std::int64_t position_of_local(std::int64_t i) const {
    return i < chunk_len ? begin[0] + i : begin[1] + i - chunk_len;
  }
  // The position after the last one of any row.
  constexpr std::int64_t end_position() const {
    return std::max(begin[0] + chunk_len, begin[1] + local_len - chunk_len);
  }
  // The end of the run of rows from r on whose global rows are consecutive, at most `end`.
  constexpr std::int64_t run_end(std::int64_t r, std::int64_t end) const {
    if (local_len == seq_len) return end;
    const std::int64_t i = (first_row + r) % local_len;
    return std::min(end, r + (i < chunk_len ? chunk_len : local_len) - i);
  }
};

}  // namespace fusor
