#pragma once
#include <string>
#include <vector>

#include "launch/config.h"

namespace fusor {

// A layout as a person writes it, "dp=2,pp=2,schedule=zb_h1": keys of a recipe's [parallel]. Keys
// that it leaves out are those of a serial run with exact sums; threads, bucket_mb and transport
// are the recipe's. With `ranks`, a layout without dp takes as many of them as divide; without, dp
// is 1. Throws Error that names the layout and the key.
ParallelConfig parse_layout(const std::string& text, const ParallelConfig& recipe,
                            std::int64_t ranks = 0);
std::int64_t ranks_of(const ParallelConfig& layout);

// The layouts of "dp=2; tp=2,pp=2". Throws Error where there is none.
std::vector<std::string> split_layouts(const std::string& text);

}  // namespace fusor
