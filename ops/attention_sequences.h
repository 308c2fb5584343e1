#pragma once
#include <algorithm>
#include <cstdint>

// How the rows of a call fall into sequences, and which keys a query sees. Plain data: kernels take
// it by value and ask it for their part.
namespace fusor::ops {

// One sequence, in positions of a row of the batch: its queries are the first of `rows` positions
// from q on, its keys the first of kv_rows from kv on. What comes after them is padding: it sees
// nothing and nothing sees it. Without keys there are no queries either.
struct Sequence {
  std::int64_t q, queries, rows;
  std::int64_t kv, keys, kv_rows;
  std::int64_t first;  // query i sees key j if j <= first + i and j < keys

  // Keys that one of the queries [0, n) sees.
  constexpr std::int64_t up_to(std::int64_t n) const { return keys < first + n ? keys : first + n; }
};

// Positions of a sequence, from `begin` on.
struct SequenceTile {
  Sequence of;
  std::int64_t begin;

  // Of n positions those that exist, and those that are queries.
  constexpr std::int64_t rows(std::int64_t n) const { return upto(n, of.rows - begin); }
  constexpr std::int64_t kv_rows(std::int64_t n) const { return upto(n, of.kv_rows - begin); }
  constexpr std::int64_t queries(std::int64_t n) const { return upto(n, of.queries - begin); }

 private:
  static constexpr std::int64_t upto(std::int64_t n, std::int64_t left) {
    return left < 0 ? 0 : left < n ? left : n;
  }
};

// Which keys the queries of a sequence see: query i sees key j if j <= first + i and j < keys. Of
// the tensors that only the device can read, lengths end each sequence of the batch early, or
// offsets cut each row of it into documents, which do not see each other.
struct Visible {
  std::int64_t first, keys;
  const std::int32_t* lengths = nullptr;     // [batch], of the queries
  const std::int32_t* kv_lengths = nullptr;  // [batch], of the keys
  const std::int32_t* offsets = nullptr;     // [batch, documents + 1], of queries and keys
  std::int64_t documents = 0;

  // Queries at positions first, first + 1, ..., each of which sees itself and what is before it.
  static Visible causal(std::int64_t first, std::int64_t queries) {
    return {first, first + queries};
  }
  static Visible all(std::int64_t keys) { return {keys - 1, keys}; }

  bool is_ragged() const { return lengths || kv_lengths || offsets; }

  // Sequences in a row of the batch. What is past the last document is one without queries.
  constexpr std::int64_t sequences() const { return offsets ? documents + 1 : 1; }

  // Sequence k of row b of the batch, which holds `rows` queries and kv_rows keys.
  constexpr Sequence sequence(std::int64_t b, std::int64_t k, std::int64_t rows,
                              std::int64_t kv_rows) const {
    if (!offsets) {
      const std::int64_t seen = kv_lengths ? clipped(kv_lengths[b], keys) : keys;
      const std::int64_t queries = lengths ? clipped(lengths[b], rows) : rows;
      return {0, seen > 0 ? queries : 0, rows, 0, seen, kv_rows, first};
    }
    const std::int64_t begin = offset(b, k, rows);
    const std::int64_t end = k < documents ? offset(b, k + 1, rows) : rows;
    const std::int64_t length = k < documents ? end - begin : 0;
    return {begin, length, end - begin, begin, length, end - begin, first};
  }

  // Tiles of n positions that hold `rows` of them, so that no tile has two sequences.
  constexpr std::int64_t tiles(std::int64_t rows, std::int64_t n) const {
    return offsets ? rows / n + documents + 1 : (rows + n - 1) / n;
  }
  // One of them. It may begin past the positions of its sequence, and is empty then. Document k has
  // the tiles from offsets[k] / n + k on: those before it leave it that many.
  constexpr SequenceTile tile(std::int64_t b, std::int64_t tile, std::int64_t n, std::int64_t rows,
                              std::int64_t kv_rows) const {
    std::int64_t k = 0, first_tile = 0;
    if (offsets) {
      for (std::int64_t past = documents + 1; past - k > 1;) {
        const std::int64_t middle = (k + past) / 2;
        (offset(b, middle, rows) / n + middle <= tile ? k : past) = middle;
      }
      first_tile = offset(b, k, rows) / n + k;
    }
    return {sequence(b, k, rows, kv_rows), (tile - first_tile) * n};
  }

 private:
  constexpr std::int64_t offset(std::int64_t b, std::int64_t k, std::int64_t rows) const {
    return clipped(offsets[b * (documents + 1) + k], rows);
  }
  static constexpr std::int64_t clipped(std::int64_t length, std::int64_t most) {
    return length < 0 ? 0 : length < most ? length : most;
  }
};

}  // namespace fusor::ops
