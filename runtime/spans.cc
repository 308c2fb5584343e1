#include "runtime/spans.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <mutex>
#include <vector>

#include "runtime/error.h"
#include "runtime/metrics.h"

namespace fusor {

namespace {

using Steady = std::chrono::steady_clock;

struct Record {
  std::array<char, 48> name;  // ends in 0
  std::int64_t begin_ns, duration_ns;
  int thread;
};

// The latest spans: records[count % capacity] is written next.
struct Recorder {
  std::mutex mutex;
  std::vector<Record> records;
  std::uint64_t count = 0;
  Steady::time_point start;
  double start_seconds = 0;  // since 1970
};

Recorder& recorder() {
  static auto& one = *new Recorder;  // threads may end after main
  return one;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now() - recorder().start)
      .count();
}

// Threads in the order of their first span.
int this_thread() {
  static std::atomic<int> threads = 0;
  thread_local const int id = threads++;
  return id;
}

std::string file_of_rank(const std::string& file, int rank, int size) {
  if (size == 1) return file;
  const std::filesystem::path path(file);
  std::filesystem::path name = path.stem();
  name += ".rank" + std::to_string(rank);
  name += path.extension();
  return path.parent_path() / name;
}

}  // namespace

void record_spans(std::size_t capacity) {
  require(capacity > 0, "a trace needs room for one span at least");
  Recorder& to = recorder();
  const std::lock_guard lock(to.mutex);
  to.records.assign(capacity, {});
  to.count = 0;
  to.start = Steady::now();
  to.start_seconds = seconds_since_1970();
  spans_recorded = true;
}

void Span::begin(std::string_view name) {
  name_ = name;
  begin_ns_ = now_ns();
}

void Span::end() const noexcept {
  Record record{};
  std::copy_n(name_.begin(), std::min(name_.size(), record.name.size() - 1), record.name.begin());
  record.begin_ns = begin_ns_;
  record.duration_ns = now_ns() - begin_ns_;
  record.thread = this_thread();
  Recorder& to = recorder();
  const std::lock_guard lock(to.mutex);
  to.records[to.count++ % to.records.size()] = record;
}

// Microseconds, as the format wants: pid is the rank, tid the thread.
std::string write_spans(const std::string& file, int rank, int size, std::string_view host) {
  const std::string name = file_of_rank(file, rank, size);
  Recorder& from = recorder();
  const std::lock_guard lock(from.mutex);
  std::ofstream out(name);
  out << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
      << R"({"name":"process_name","ph":"M","pid":)" << rank << R"(,"args":{"name":)"
      << json_quoted("rank " + std::to_string(rank) + " on " + std::string(host)) << "}}";
  out << std::fixed << std::setprecision(3);
  const std::uint64_t kept = std::min<std::uint64_t>(from.count, from.records.size());
  for (std::uint64_t i = from.count - kept; i < from.count; ++i) {
    const Record& record = from.records[i % from.records.size()];
    out << ",\n{\"name\":" << json_quoted(record.name.data()) << R"(,"ph":"X","pid":)" << rank
        << ",\"tid\":" << record.thread
        << ",\"ts\":" << from.start_seconds * 1e6 + static_cast<double>(record.begin_ns) / 1e3
        << ",\"dur\":" << static_cast<double>(record.duration_ns) / 1e3 << '}';
  }
  out << "\n]}\n";
  out.close();
  check_errno(out.good(), "cannot write the trace " + name);
  return name;
}

}  // namespace fusor
