#pragma once
#include "launch/batch.h"
#include "launch/config.h"
#include "models/stage_layout.h"

namespace fusor {

// How the recipe splits the model into pipeline stages and orders their work: as parallel.split
// says, else so that the most expensive stage is cheapest. Throws Error that names the key and what
// would do.
StageLayout stage_layout(Model& model, const Config& config, const RunSize& size);

}  // namespace fusor
