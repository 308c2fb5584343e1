#pragma once
#include <limits>
#include <string_view>

namespace fusor {

struct Key {
  std::string_view name;  // "section.key", as in a recipe and on the command line
  std::string_view help;
  double least, below;  // a number's range: least <= value < below
  bool fixed;           // a resumed run must have the same value
};

inline constexpr double kNoEnd = std::numeric_limits<double>::infinity();

constexpr Key key(std::string_view name, std::string_view help, double least = 0,
                  double below = kNoEnd) {
  return {name, help, least, below, false};
}

constexpr Key fixed_key(std::string_view name, std::string_view help, double least = 0,
                        double below = kNoEnd) {
  return {name, help, least, below, true};
}

}  // namespace fusor
