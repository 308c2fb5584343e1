#pragma once
#include <string>

#include "ops/vocab_shard.h"
#include "parallel/sharded_linear.h"

// Embedding, output projection and loss with the vocabulary split over the ranks of tp, as in
// https://arxiv.org/abs/1909.08053. Logits stay where they are.
namespace fusor {

// A table [words, width] of which this rank holds the rows of its words. Sizes differ by one at
// most, and the first ranks have the larger: 50257 words over 2 ranks are 25129 and 25128.
struct VocabTable {
  TensorRegion region;
  VocabShard words;
  Parameter w;

  // Throws Error where there are fewer words than ranks.
  VocabTable(const std::string& name, std::int64_t vocab, std::int64_t width, double std,
             const TensorRegion&);

  // The words' vectors, outside the region.   ids i32 [rows]   [rows outside, width]
  Var embed(const Var& ids) const;
  // This rank's columns of the logits x w^T.   x [rows outside, width]   [rows, words here]
  Var logits(const Var& x) const;
  // cross_entropy(logits, targets) as on one rank; the same on all.   targets i32 [rows]
  // Two numbers a row cross the group: see ops/cross_entropy.h.
  Var loss(const Var& logits, const Tensor& targets) const;
};

}  // namespace fusor
