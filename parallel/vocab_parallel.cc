#include "parallel/vocab_parallel.h"

#include <algorithm>

#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "parallel/collectives.h"

namespace fusor {
namespace {

std::vector<Piece> words_of(const std::string& name, std::int64_t vocab, const Group& tp) {
  require(vocab >= tp.size(), "parallel.tp ", tp.size(), " is more than the ", vocab,
          " words of the vocabulary, the nearest that works: ", vocab);
  const std::int64_t each = vocab / tp.size(), larger = vocab % tp.size();
  return {{.name = name,
           .rows = each + (tp.rank() < larger),
           .first = tp.rank() * each + std::min<std::int64_t>(tp.rank(), larger),
           .whole = vocab}};
}

}  // namespace

VocabTable::VocabTable(const std::string& name, std::int64_t vocab, std::int64_t width, double std,
                       const TensorRegion& region)
    : region(region),
      w(words_of(name, vocab, region.tp), {words_of(name, vocab, region.tp)[0].rows, width},
        {.std = std}) {
  words = {.first = w.pieces[0].first, .whole = vocab};
}

Var VocabTable::embed(const Var& ids) const { return region.leave(embedding(w, ids, words)); }

Var VocabTable::logits(const Var& x) const { return column_linear(x, w, {}, region); }

Var VocabTable::loss(const Var& logits, const Tensor& targets) const {
  return cross_entropy(logits, targets, words, [&](const Tensor& known) {
    return all_gathered(known.view({1, 2, known.dim(1)}), region.tp, "cross_entropy");
  });
}

}  // namespace fusor
