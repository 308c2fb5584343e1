#pragma once
#include <filesystem>
#include <iosfwd>
#include <string>

#include "parallel/cluster.h"

namespace fusor {

// A cluster file is an INI file: `key = value` lines under [cluster] [rank] [host] [inside]
// [between]; every file of launch/clusters/ lists the keys and what they mean. A curve is a line of
// size:share pairs, as in `gemm = 1e9:0.2 1e11:0.8`. Throws Error with one sentence that names the
// file, and the key with its value: for a file that cannot be read, an unknown key (with the
// nearest known one), a key given twice or missing, a value of the wrong type or out of its range.
Cluster read_cluster(const std::filesystem::path& file);
Cluster parse_cluster(std::istream& text, const std::string& name);

// The cluster with every key and what it means; parse_cluster gives the same Cluster back.
std::string to_ini(const Cluster&);

}  // namespace fusor
