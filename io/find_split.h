#pragma once
#include <string>

#include "runtime/error.h"

namespace fusor {

// The split of a manifest; throws Error that lists the others when there is none of this name. Not
// installed.
template <class Manifest>
const auto& find_split(const Manifest& manifest, const std::string& folder,
                       const std::string& split) {
  std::string names;
  for (const auto& candidate : manifest.splits)
    names += (names.empty() ? "" : ", ") + candidate.name;
  const auto* const found = manifest.find(split);
  require(found != nullptr, folder, " has no split '", split, "'; it has ", names);
  return *found;
}

}  // namespace fusor
