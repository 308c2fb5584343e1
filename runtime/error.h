#pragma once
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>

namespace fusor {

// What every failure in Fusor throws. what() is one sentence for the person who started the run;
// where() is for the person who debugs it.
class Error : public std::runtime_error {
 public:
  Error(const std::string& what, std::source_location at) : std::runtime_error(what), at_(at) {}
  std::source_location where() const { return at_; }

 private:
  std::source_location at_;
};

[[noreturn]] void raise(const std::string& what,
                        std::source_location at = std::source_location::current());

// The caller's mistake: require(x.dim(1) == w.dim(1), "matmul: x ", x.shape(), " w ", w.shape());
template <class... Ts>
struct require {
  require(bool ok, const Ts&... what, std::source_location at = std::source_location::current()) {
    if (ok) [[likely]]
      return;
    std::ostringstream text;
    (text << ... << what);
    raise(text.str(), at);
  }
};
template <class... Ts>
require(bool, const Ts&...) -> require<Ts...>;

// A POSIX call's status: throws with "what: strerror(errno)" when ok is false.
void check_errno(bool ok, const std::string& what,
                 std::source_location at = std::source_location::current());

}  // namespace fusor
