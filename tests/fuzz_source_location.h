#pragma once
#include <source_location>
#include <version>

// clang before 15 lacks the builtin that libstdc++ makes std::source_location from.
#ifndef __cpp_lib_source_location
namespace std {
struct source_location {
  static constexpr source_location current() { return {}; }
  constexpr unsigned line() const { return 0; }
  constexpr const char* file_name() const { return ""; }
  constexpr const char* function_name() const { return ""; }
};
}  // namespace std
#endif
