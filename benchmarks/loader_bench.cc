// Shuffled loading against a sequential pread of the same bytes, both from the page cache.
// usage: loader_bench [MiB of tokens] [reader threads]
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "benchmarks/compare.h"
#include "io/file.h"
#include "io/loader.h"
#include "io/output_file.h"
#include "io/shard.h"
#include "runtime/random.h"

namespace fusor {
namespace {

constexpr std::int64_t kBatchTokens = 32768;  // of a micro-batch

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

void run(const Dataset& dataset, const File& file, std::int64_t seq_len, int threads) {
  using namespace benchmark;
  const std::int64_t micro_batch = kBatchTokens / seq_len;
  const std::int64_t batches = dataset.num_samples(seq_len) / micro_batch;
  const std::int64_t bytes = batches * kBatchTokens;
  const auto load = [&](Sampling sampling) {
    Loader loader(dataset, {.seq_len = seq_len,
                            .global_batch = micro_batch,
                            .count = micro_batch,
                            .micro_batch = micro_batch,
                            .sampling = sampling,
                            .num_threads = threads});
    for (std::int64_t b = 0; b < batches; ++b) loader.next();
  };
  const auto shuffled = [&] { load(Sampling::shuffled); };
  const auto sequential = [&](std::int64_t block_bytes) {
    std::vector<std::byte> block(static_cast<std::size_t>(block_bytes));
    for (std::int64_t at = 0; at + block_bytes <= bytes; at += block_bytes)
      file.read(block, static_cast<std::uint64_t>(at));
  };
  const auto against = [&](const std::string& rival, auto&& run_rival) {
    print("seq_len " + std::to_string(seq_len) + " against " + rival, compare(shuffled, run_rival),
          static_cast<double>(bytes) * 1e-9, "GB");
  };
  against("pread, a window a call", [&] { sequential(seq_len); });
  against("pread, 1 MiB a call", [&] { sequential(1 << 20); });
  against("the loader in order", [&] { load(Sampling::in_order); });
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
