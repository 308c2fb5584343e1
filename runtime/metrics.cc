#include "runtime/metrics.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

namespace fusor {
namespace {

constexpr std::string_view kStepKey = ",\"step\":";

// Bytes of the leading lines that are whole and of steps up to `last_step`.
std::size_t bytes_to_keep(std::string_view text, std::int64_t last_step) {
  std::size_t kept = 0;
  for (std::size_t end; (end = text.find('\n', kept)) != text.npos; kept = end + 1) {
    const std::string_view line = text.substr(kept, end - kept);
    const std::size_t key = line.find(kStepKey);
    if (key == line.npos) break;
    std::int64_t step = 0;
    const char* digits = line.data() + key + kStepKey.size();
    if (std::from_chars(digits, line.data() + line.size(), step).ec != std::errc()) break;
    if (step > last_step) break;
  }
  return kept;
}

}  // namespace

MetricsEvent::MetricsEvent(std::string_view kind, std::int64_t step)
    : step_(step),
      head_("{\"kind\":" + json_quoted(kind) + std::string(kStepKey) + std::to_string(step)) {}

MetricsEvent& MetricsEvent::add(std::string_view name, double value) {
  fields_ += ',' + json_quoted(name) + ':' + json_number(value);
  return *this;
}

MetricsEvent& MetricsEvent::add(std::string_view name, std::string_view value) {
  fields_ += ',' + json_quoted(name) + ':' + json_quoted(value);
  return *this;
}

MetricsEvent& MetricsEvent::add_integer(std::string_view name, std::int64_t value) {
  fields_ += ',' + json_quoted(name) + ':' + std::to_string(value);
  return *this;
}

std::string MetricsEvent::json(double time) const {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", time);
  return head_ + ",\"time\":" + text + fields_ + '}';
}

MetricsFile::MetricsFile(std::string path, std::int64_t resume_step, AppendFile::Report report)
    : file_(std::move(path), std::move(report)) {
  file_.cut(bytes_to_keep(file_.text(), resume_step));
}

void MetricsFile::write(const MetricsEvent& event) {
  file_.append(event.json(seconds_since_1970()));
}

std::string json_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace fusor
