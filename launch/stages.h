#pragma once
#include <string>
#include <vector>

#include "launch/batch.h"
#include "launch/config.h"
#include "launch/task.h"
#include "models/stage_layout.h"

namespace fusor {

// How the recipe splits the model into pipeline stages and orders their work: as parallel.split
// says, else so that the most expensive stage is cheapest. Throws Error that names the key and what
// would do.
StageLayout stage_layout(const Task& task, const Config& config, const RunSize& size);

// For people, a line each: the schedule and its bubble, and of each stage its parts and the most
// micro-batches that it holds at once. Nothing where the model is one stage.
std::vector<std::string> describe_stages(const Task& task, const Config& config,
                                         const RunSize& size);

}  // namespace fusor
