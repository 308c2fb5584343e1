#include "ops/row_map.h"

#include "runtime/error.h"

namespace fusor {

RowMap RowMap::whole(std::int64_t first_sample, std::int64_t seq_len) {
  return zigzag(first_sample, seq_len, 0, 1);
}

RowMap RowMap::zigzag(std::int64_t first_sample, std::int64_t seq_len, int cp_rank, int cp_size) {
  require(first_sample >= 0 && seq_len > 0, "rows from sample ", first_sample, " of ", seq_len,
          " tokens");
  require(0 <= cp_rank && cp_rank < cp_size, "rank ", cp_rank, " of ", cp_size,
          " that share a sequence");
  RowMap map{
      .first_sample = first_sample, .seq_len = seq_len, .local_len = seq_len, .chunk_len = seq_len};
  if (cp_size == 1) return map;
  require(seq_len % (2 * cp_size) == 0, "context parallelism cp ", cp_size,
          " cuts a sequence into ", 2 * cp_size, " equal chunks, but it has ", seq_len, " tokens");
  map.chunk_len = seq_len / (2 * cp_size);
  map.local_len = 2 * map.chunk_len;
  map.begin[0] = cp_rank * map.chunk_len;
  map.begin[1] = (2 * cp_size - 1 - cp_rank) * map.chunk_len;
  return map;
}

RowMap RowMap::positions(std::int64_t first, std::int64_t count) {
  require(first >= 0 && count > 0, "rows of ", count, " positions from ", first, " on");
  return {.seq_len = first + count, .local_len = count, .chunk_len = count, .begin = {first, 0}};
}

RowMap RowMap::rows_from(std::int64_t row) const {
  require(row >= 0, "rows from row ", row, " on");
  RowMap map = *this;
  map.first_row += row;
  return map;
}

}  // namespace fusor
