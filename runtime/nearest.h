#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fusor {

// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest edit distance to `word`, the first of equals; empty when none is
// close enough to be a slip of the hand (more than a third of the longer word differs).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// `, did you mean "train"?`, or empty when no candidate is near: the end of an error's sentence.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace fusor
