#pragma once
#include <span>
#include <string>
#include <string_view>

// Versions of libraries that give wrong results or hang, so that they are refused with a reason
// instead of being met in a run.
namespace fusor {

struct LibraryFault {
  std::string_view library;  // "cuDNN"
  int first, last;           // versions as the library itself counts them, both included
  std::string_view what;     // the use that fails: "attention"; "" for every use
  std::string_view reason;   // what happens, and where that is written
};

std::span<const LibraryFault> library_faults();

// Why `library` of this version is not to be used for `what`; empty if it may be.
std::string fault_of(std::string_view library, int version, std::string_view what);

}  // namespace fusor
