#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/append_file.h"

namespace fusor {

// One line of metrics.jsonl, a JSON object that begins with what every line has:
//
//   {"kind":"train","step":12,"time":1767225600.125,"loss":2.5,"tokens_per_second":12345.0}
class MetricsEvent {
 public:
  MetricsEvent(std::string_view kind, std::int64_t step);
  // Doubles are printed so that they read back to the same bits; NaN and infinities, which JSON
  // lacks, as null.
  MetricsEvent& add(std::string_view name, double value);
  MetricsEvent& add(std::string_view name, std::string_view value);
  template <std::integral T>
  MetricsEvent& add(std::string_view name, T value) {
    return add_integer(name, static_cast<std::int64_t>(value));
  }

  std::int64_t step() const { return step_; }
  std::string json(double time) const;  // time: seconds since 1970

 private:
  MetricsEvent& add_integer(std::string_view name, std::int64_t value);

  std::int64_t step_;
  std::string head_, fields_;
};

// A run's metrics.jsonl. A run that goes on from step k opens it with resume_step = k: the lines of
// later steps are dropped, since the run writes them again; so is a last line that a kill cut
// short. Steps never decrease in a file.
class MetricsFile {
 public:
  MetricsFile(std::string path, std::int64_t resume_step, AppendFile::Report report);
  void write(const MetricsEvent& event);

 private:
  AppendFile file_;
};

// `text` as a JSON string, quotes included. Bytes that are not ASCII stay as they are.
std::string json_quoted(std::string_view text);

// The shortest text that reads back to the same double; "null" for NaN and infinities.
std::string json_number(double value);

double seconds_since_1970();

}  // namespace fusor
