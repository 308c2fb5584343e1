#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ops/tape.h"

// The ladder that every operator climbs. A case is one row: what goes in and the op itself. The
// rungs on the CPU (ladder.cc) compare it with finite differences in f64, then f32 with f64 and
// bf16 and f16 with f32, in values and gradients, on poisoned memory; and check that gradients
// accumulate, that values are the same without a tape, that a rehearsal asks for the memory the run
// asks for, and that neither the number of threads, nor leaving the weights for later, nor
// recomputing changes a bit. Those of CUDA (cuda_ladder.cc) compare each dtype with the CPU, and
// check the rest as the CPU's do.
namespace fusor::ladder {

enum class Role {
  activation,  // in the dtype of the rung, with a gradient in that dtype
  parameter,   // in the dtype of the rung, with a gradient in its accumulator dtype
  ids          // i32, no gradient
};

struct Operand {
  Role role;
  Shape shape;
  std::int64_t bound = 0;  // ids lie in [0, bound)
};
inline Operand activation(Shape shape) { return {Role::activation, std::move(shape)}; }
inline Operand parameter(Shape shape) { return {Role::parameter, std::move(shape)}; }
inline Operand ids(Shape shape, std::int64_t bound) { return {Role::ids, std::move(shape), bound}; }

struct Case {
  std::string name;
  std::vector<Operand> operands;
  std::function<Var(const std::vector<Var>&)> op;
  // The library adds up in an order that the number of threads decides: no two need agree to the
  // bit.
  bool sums_by_threads = false;
};

// One sentence for each rung that the case does not pass; empty if it passes all.
std::vector<std::string> complaints(const Case&);
std::vector<std::string> complaints_on_cuda(const Case&);

}  // namespace fusor::ladder
