#include "benchmarks/recipe_arguments.h"

#include <algorithm>

#include "runtime/random.h"

namespace fusor::benchmark {

KeyValues recipe_arguments(int argc, char** argv) {
  KeyValues keys;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const std::size_t equals = arg.find('=');
    require(arg.starts_with("--") && equals != std::string::npos, arg,
            ": expected --section.key=value");
    keys[arg.substr(2, equals - 2)] = arg.substr(equals + 1);
  }
  return keys;
}

BatchSource random_batches(const RunSize& size, std::int64_t vocab_size) {
  const RandomKey key = random_key(1, "benchmark");
  std::vector<std::int32_t> text;
  for (std::int64_t i = 0; i < size.micro_batch * size.seq_len + 1; ++i)
    text.push_back(
        static_cast<std::int32_t>(random_bits(key, static_cast<std::uint64_t>(i)) % vocab_size));
  const TextSource next = [text = std::move(text)](std::span<std::int32_t> tokens,
                                                   std::span<std::int32_t> targets) {
    std::copy_n(text.begin(), tokens.size(), tokens.begin());
    std::copy_n(text.begin() + 1, targets.size(), targets.begin());
  };
  return text_batches(next, RowMap::whole(0, size.seq_len), vocab_size);
}

}  // namespace fusor::benchmark
