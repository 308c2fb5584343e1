#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/model.h"

namespace fusor {

// What models share that tell the class of a sample. A batch has the fields
//   label  i32 [samples]
// and where samples are mixed
//   other_label  i32 [samples]      label_share  f32 [samples]: see MixedLabels

// The summed cross-entropy of logits [samples, classes], f64 [1]; smoothing: of training's labels.
// Without a tape f64 [1 + 2]: of the plain labels, and then how many are among the one and the five
// largest logits.
Var class_loss(std::int64_t classes, double smoothing, const Var& logits, const Batch&,
               const Pass&);
// Model::measures() of these.
std::vector<std::string> class_measures();

}  // namespace fusor
