#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Where the time of a rank goes, as a picture: named spans, written as a trace that Perfetto
// (ui.perfetto.dev) and chrome://tracing show. Off unless recording; then a span costs a branch.
namespace fusor {

// Keeps the latest `capacity` spans of all threads of this process from now on (80 bytes each).
void record_spans(std::size_t capacity = std::size_t{1} << 18);
inline std::atomic<bool> spans_recorded = false;

// From construction to destruction, on the calling thread. Only the first 47 bytes of a name are
// kept. `name` must outlive the span.
class Span {
 public:
  explicit Span(std::string_view name) {
    if (spans_recorded.load(std::memory_order_relaxed)) [[unlikely]]
      begin(name);
  }
  ~Span() {
    if (begin_ns_ >= 0) [[unlikely]]
      end();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  void begin(std::string_view name);
  void end() const noexcept;

  std::string_view name_;
  std::int64_t begin_ns_ = -1;  // since recording began
};

// Writes what was recorded to `file`, or one file a rank ("trace.rank3.json") where size > 1, and
// returns its name. Times are those of the host's clock, so that ranks line up. Throws Error that
// names the file.
std::string write_spans(const std::string& file, int rank, int size, std::string_view host);

}  // namespace fusor
