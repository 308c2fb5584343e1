#pragma once
#include "launch/device_work.h"
#include "ops/attention.h"

// Causal attention by Fusor, and by cuDNN alone.
namespace fusor::benchmark {

// Works 0 and 1: forward, by Fusor and by cuDNN. Works 2 and 3: forward and backward. cuDNN runs
// the plans that Fusor asks it for, built once, without anything around them. bf16, on GPU 0.
// Throws Error with the reason where cuDNN does not take the shape.
DeviceWork attention_and_bare(const AttentionShape&, int times);

}  // namespace fusor::benchmark
