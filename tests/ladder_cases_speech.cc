#include "ops/add.h"
#include "ops/ctc_loss.h"
#include "ops/lstm.h"
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

Case lstm_case(const char* name, std::int64_t samples, std::int64_t frames, std::int64_t hidden,
               std::int64_t directions) {
  const std::int64_t gates = directions * 4 * hidden;
  return {name,
          {activation({samples * frames, gates}), parameter({gates, hidden}),
           ids({samples}, frames + 1)},
          [=](const Vars& v) { return lstm(v[0], v[1], v[2].value(), directions); }};
}

}  // namespace

std::vector<Case> speech_cases() {
  return {
      // samples, frames, labels, vocabulary
      ctc_case("ctc_loss", 5, 9, 4, 7),
      ctc_case("ctc_loss_one_label", 3, 4, 1, 2),
      ctc_case("ctc_loss_large", 3, 40, 20, 131),
      // samples, frames, hidden, directions
      lstm_case("lstm", 4, 5, 3, 1),
      lstm_case("lstm_one_frame", 3, 1, 5, 2),
      lstm_case("lstm_both_ways", 5, 7, 16, 2),
      lstm_case("lstm_large", 33, 3, 36, 1),
  };
}

}  // namespace fusor::ladder
