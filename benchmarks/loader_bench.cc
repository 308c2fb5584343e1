// Loading against pread of the same bytes, both from the page cache.
// usage: loader_bench [MiB of tokens] [reader threads]
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/compare.h"
#include "io/file.h"
#include "io/loader.h"
#include "io/order.h"
#include "io/output_file.h"
#include "io/shard.h"
#include "runtime/random.h"

namespace fusor {
namespace {

constexpr std::int64_t kBatchTokens = 131072;  // of a micro-batch

Manifest write_random_dataset(const std::string& folder, std::int64_t tokens) {
  std::filesystem::create_directories(folder);
  const RandomKey key = random_key(1, "bench");
  std::vector<std::uint32_t> words(static_cast<std::size_t>(tokens) / 4);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = random_bits(key, i);
  const std::int64_t offsets[] = {0, tokens};
  Manifest manifest;
  manifest.splits = {{"train",
                      {write_text_shard(folder, "train.h5", TokenType::u8,
                                        std::as_bytes(std::span(words)), offsets)}}};
  return manifest;
}

LoaderConfig config_of(std::int64_t seq_len, int threads, Sampling sampling) {
  const std::int64_t micro_batch = kBatchTokens / seq_len;
  return {.seq_len = seq_len,
          .global_batch = micro_batch,
          .count = micro_batch,
          .micro_batch = micro_batch,
          .sampling = sampling,
          .num_threads = threads};
}

// The windows of an order by bare preads, into as much memory as the loader's.
void read_windows(const File& file, std::span<const std::int64_t> order, std::int64_t seq_len) {
  const auto window = static_cast<std::size_t>(seq_len) + 1;
  const std::size_t rows = 4 * kBatchTokens / static_cast<std::size_t>(seq_len);
  std::vector<std::byte> to(rows * window);
  for (std::size_t i = 0; i < order.size(); ++i)
    file.read(std::span(to).subspan(i % rows * window, window),
              static_cast<std::uint64_t>(order[i] * seq_len));
}

void run(const Dataset& dataset, const File& file, std::int64_t seq_len, int threads) {
  using namespace benchmark;
  const std::int64_t per_batch = kBatchTokens / seq_len;
  const std::int64_t batches = dataset.num_samples(seq_len) / per_batch;
  std::vector<std::int64_t> in_order(static_cast<std::size_t>(batches * per_batch));
  std::iota(in_order.begin(), in_order.end(), 0);
  const Permutation shuffle = epoch_order(0, 0, dataset.num_samples(seq_len));
  std::vector<std::int64_t> shuffled = in_order;
  for (std::int64_t& window : shuffled) window = shuffle(window);
  const auto load = [&](Sampling sampling) {
    Loader loader(dataset, config_of(seq_len, threads, sampling));
    for (std::int64_t b = 0; b < batches; ++b) loader.next();
  };
  const auto large = [&] {
    std::vector<std::byte> to(std::size_t{1} << 20);
    for (std::int64_t at = 0; at + std::ssize(to) <= batches * kBatchTokens; at += std::ssize(to))
      file.read(to, static_cast<std::uint64_t>(at));
  };
  const auto bare = [&] {
    std::vector<std::jthread> readers;
    const std::size_t share = shuffled.size() / static_cast<std::size_t>(threads);
    for (int t = 0; t < threads; ++t)
      readers.emplace_back(
          [&, part = std::span(shuffled).subspan(static_cast<std::size_t>(t) * share, share)] {
            read_windows(file, part, seq_len);
          });
  };
  const auto against = [&](const std::string& what, Sampling sampling, auto&& rival) {
    print("seq_len " + std::to_string(seq_len) + " " + what,
          compare([&] { load(sampling); }, rival),
          static_cast<double>(batches * kBatchTokens) * 1e-9, "GB");
  };
  against("shuffled / pread in order, windows", Sampling::shuffled,
          [&] { read_windows(file, in_order, seq_len); });
  against("shuffled / pread in order, 1 MiB", Sampling::shuffled, large);
  against("shuffled / its preads alone", Sampling::shuffled, bare);
  against("in order / pread in order, 1 MiB", Sampling::in_order, large);
}

}  // namespace
}  // namespace fusor

int main(int argc, char** argv) {
  using namespace fusor;
  const std::int64_t mib = argc > 1 ? std::atoll(argv[1]) : 256;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  const std::string folder =
      (std::filesystem::temp_directory_path() / "fusor_loader_bench").string();
  const Manifest manifest = write_random_dataset(folder, mib << 20);
  write_text_file(folder + "/manifest.json", to_text(manifest));
  {
    const Dataset dataset(folder, "train", {.verify_checksums = false});
    const File file(folder + "/train.h5");
    std::printf("%lld MiB of u8 tokens, %d reader thread%s\n", static_cast<long long>(mib), threads,
                threads == 1 ? "" : "s");
    for (const std::int64_t seq_len : {256, 1024, 4096, 16384})
      run(dataset, file, seq_len, threads);
  }
  std::filesystem::remove_all(folder);
}
