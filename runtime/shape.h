#pragma once
#include <cstdint>
#include <iosfwd>
#include <vector>

namespace fusor {

// The extent of each dim, outermost first. Its own type, so that << and overloads find it.
struct Shape : std::vector<std::int64_t> {
  using vector::vector;
};

std::int64_t num_elements(const Shape&);                // 1 for a scalar []
std::ostream& operator<<(std::ostream&, const Shape&);  // [2, 3]

}  // namespace fusor
