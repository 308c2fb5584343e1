#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/manifest.h"

// What `fusor data` makes datasets with, one file each; and what these share. `args` is what
// follows the action's name.
namespace fusor {

int data_text(const std::vector<std::string>& args);
int data_vocab(const std::vector<std::string>& args);

std::string counted(std::int64_t n, const std::string& noun);  // "1 shard", "2 shards"
void print_splits(const Manifest&);

}  // namespace fusor
