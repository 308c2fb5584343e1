#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/bad_samples.h"
#include "io/manifest.h"

// What `fusor data` makes datasets with, one file each; and what these share. `args` is what
// follows the action's name.
namespace fusor {

int data_documents(const std::vector<std::string>& args);
int data_images(const std::vector<std::string>& args);
int data_pairs(const std::vector<std::string>& args);
int data_speech(const std::vector<std::string>& args);
int data_text(const std::vector<std::string>& args);
int data_vocab(const std::vector<std::string>& args);

std::string counted(std::int64_t n, const std::string& noun);  // "1 shard", "2 shards"
// In quotes, on one line: \n, \t, \xHH; bytes of UTF-8 stay as they are.
std::string escape(std::string_view text);
void print_splits(const Manifest&);
// How many there were, and which was the first; nothing where there were none.
void print_skipped(const BadSamples& bad, const std::string& noun);
// Fields, splits and first rows of a dataset of records.
void inspect_records(const std::string& folder);

}  // namespace fusor
