#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fusor {

// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that `word` was most likely meant to be: of those with the same name after the last
// dot ("train.lr" for "optimizer.lr"), or else of all that differ in at most a third of the longer
// word, the one with the smallest edit distance, the first of equals. Empty when there is none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// `, did you mean "train"?`, or empty when no candidate is near: the end of an error's sentence.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// The same; and where none is near, all of them: ", known are a, b".
std::string did_you_mean_of(std::string_view word, const std::vector<std::string>& known);

// "2 or 4": the divisors of n next to d, which is none; "1" where no other is below. n, d > 0.
std::string nearest_divisors(std::int64_t n, std::int64_t d);

}  // namespace fusor
