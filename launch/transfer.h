#pragma once
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "launch/config.h"
#include "models/model.h"
#include "parallel/parameter_store.h"

namespace fusor {

// Freezes the parameters with a name in which `pattern`, a regular expression (ECMAScript), is
// found; none where it is empty. Throws Error when it is no pattern, or finds none or all of them.
void freeze(Model& model, const std::string& pattern);

// What of a model is not in the checkpoint that it begins with, and why: a line each.
using FreshWeights = std::vector<std::string>;

// Begins with the weights of a checkpoint of another run, and leaves the moments as they are. A
// weight's name there is its name here after config.rename; see launch/keys.h. Where the checkpoint
// has no such weight, or one of another shape, the weight stays as it was drawn if
// config.on_mismatch says so, else an Error names it.
FreshWeights begin_with(Checkpoint& checkpoint, const CheckpointConfig& config,
                        const std::vector<ParameterStore*>& stores);

}  // namespace fusor
