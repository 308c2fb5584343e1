#include "io/bad_samples.h"

#include "runtime/error.h"

namespace fusor {

OnBadSample parse_on_bad_sample(std::string_view text, const std::string& what) {
  require(text == "fail" || text == "skip", what, " is '", text, "', not fail or skip");
  return text == "skip" ? OnBadSample::skip : OnBadSample::fail;
}

void BadSamples::add(const std::string& what) {
  require(policy_ == OnBadSample::skip, what);
  if (count_++ == 0) first_ = what;
}

}  // namespace fusor
