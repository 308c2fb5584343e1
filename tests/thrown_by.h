#pragma once
#include <string>

#include "runtime/error.h"

namespace fusor {

// The message of the Error that f throws; "no error" if it throws none.
template <class F>
std::string thrown_by(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace fusor
