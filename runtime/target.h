#pragma once
#include <cstdint>

namespace fusor {

// The target of a token that is not there: the loss and its mean leave it out.
inline constexpr std::int32_t kIgnoredTarget = -1;

}  // namespace fusor
