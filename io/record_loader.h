#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "io/bad_samples.h"
#include "io/read_ahead.h"
#include "io/sampling.h"

namespace fusor {

// What a micro-batch will hold.
struct BatchPlan {
  std::vector<Sample> samples;
  std::vector<std::int64_t> sample_bytes;  // of each field of the batch, what one sample takes
};

// A micro-batch on the host. Where a sample is not valid (past the last one of Sampling::once, or
// bad and skipped) all its bytes are zero: its target is to be ignored.
class RecordBatch {
 public:
  std::int64_t size() const { return std::ssize(samples); }
  // Field f of all samples, one after the other, as T.
  template <class T>
  std::span<T> field(std::size_t f) {
    std::vector<std::byte>& bytes = fields.at(f);
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  // Field f of sample i.
  template <class T>
  std::span<T> at(std::size_t f, std::int64_t i) {
    const std::span<T> all = field<T>(f);
    const std::size_t each = all.size() / samples.size();
    return all.subspan(static_cast<std::size_t>(i) * each, each);
  }

  std::vector<Sample> samples;
  std::vector<std::uint8_t> valid;  // [size]
  std::vector<std::vector<std::byte>> fields;
  std::vector<std::string> faults;  // what was wrong with each bad sample
};

// All functions are called from several threads, and must be pure: what they write depends on the
// plan alone.
struct RecordLoaderConfig {
  std::int64_t num_batches = 0;  // BatchSampler::num_batches
  std::int64_t num_rows = 0;     // of the dataset: samples from there on are not valid
  std::function<BatchPlan(std::int64_t batch)> plan{};
  // Writes sample i of a batch, whose bytes are zero. It throws Error for a bad sample.
  std::function<void(RecordBatch& batch, std::int64_t i)> transform{};
  // After all samples of a batch: what mixes them. May be empty.
  std::function<void(RecordBatch& batch)> complete{};
  OnBadSample on_bad = OnBadSample::fail;
  int num_threads = 1;
  int depth = 4;  // micro-batches in memory, the one in use included; 2 or more
};

// The micro-batches of a sampler, each with the same bytes for a sample.
std::function<BatchPlan(std::int64_t)> plan_with(const BatchSampler& sampler,
                                                 std::vector<std::int64_t> sample_bytes);

// Makes micro-batches ahead on its own threads and hands them out in order.
class RecordLoader {
 public:
  explicit RecordLoader(RecordLoaderConfig config);

  // The next micro-batch; it holds until the next call. Throws what transform threw where bad
  // samples are errors, now and on every later call, and Error after the last one.
  RecordBatch& next();
  // Bad samples in the micro-batches handed out.
  std::int64_t num_bad() const { return num_bad_; }

 private:
  RecordBatch& slot_of(std::int64_t batch);
  void fill(std::int64_t batch, const std::stop_token& stop);
  void fill_sample(RecordBatch& batch, std::int64_t i) const;

  const RecordLoaderConfig config_;
  std::vector<RecordBatch> slots_;  // micro-batch b lives in slot b % depth
  std::int64_t num_bad_ = 0;
  ReadAhead ahead_;
};

}  // namespace fusor
