#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace fusor {

enum class OnBadSample : std::uint8_t { fail, skip };
// "fail" or "skip"; throws Error that begins with `what` for anything else.
OnBadSample parse_on_bad_sample(std::string_view text, const std::string& what);

// The samples of an input that cannot be used: each is an error, or skipped and counted.
class BadSamples {
 public:
  explicit BadSamples(OnBadSample policy = OnBadSample::fail) : policy_(policy) {}
  // `what`: one sentence that names the sample and what is wrong with it. Throws it as an Error
  // unless bad samples are skipped.
  void add(const std::string& what);
  std::int64_t count() const { return count_; }
  const std::string& first() const { return first_; }  // what was said of the first

 private:
  OnBadSample policy_;
  std::int64_t count_ = 0;
  std::string first_;
};

}  // namespace fusor
