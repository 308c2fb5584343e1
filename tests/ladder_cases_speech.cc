#include "ops/add.h"
#include "ops/ctc_loss.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;

// Labels lie below the last, the blank; of lengths drawn, some samples are impossible.
Case ctc_case(const char* name, std::int64_t samples, std::int64_t frames, std::int64_t labels,
              std::int64_t vocab) {
  const Shape logits{samples * frames, vocab};
  return {
      name,
      {activation(logits), activation(logits), ids({samples, labels}, vocab - 1),
       ids({samples}, labels + 1), ids({samples}, frames + 1)},
      // of a sum: it consumes its logits, which the rungs read again
      [=](const Vars& v) {
        return ctc_loss(add(v[0], v[1]), {v[2].value(), v[3].value(), v[4].value()}, vocab - 1).sum;
      }};
}

}  // namespace

std::vector<Case> speech_cases() {
  return {
      // samples, frames, labels, vocabulary
      ctc_case("ctc_loss", 5, 9, 4, 7),
      ctc_case("ctc_loss_one_label", 3, 4, 1, 2),
      ctc_case("ctc_loss_large", 3, 40, 20, 131),
  };
}

}  // namespace fusor::ladder
