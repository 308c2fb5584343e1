#include "runtime/error.h"

#include <cerrno>
#include <cstring>

namespace fusor {

void raise(const std::string& what, std::source_location at) { throw Error(what, at); }

void check_errno(bool ok, const std::string& what, std::source_location at) {
  if (!ok) raise(what + ": " + std::strerror(errno), at);
}

}  // namespace fusor
