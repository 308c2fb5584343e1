#pragma once
#include "launch/batch.h"
#include "launch/recipe.h"
#include "launch/text_task.h"

// What benchmarks of training steps share.
namespace fusor::benchmark {

// The keys of "--section.key=value" arguments. Throws Error that quotes an argument of another
// form.
KeyValues recipe_arguments(int argc, char** argv);

// The same micro-batch of random tokens for every call.
BatchSource random_batches(const RunSize& size, std::int64_t vocab_size);

}  // namespace fusor::benchmark
