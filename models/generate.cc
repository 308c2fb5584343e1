#include "models/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/copy.h"
#include "runtime/random.h"

namespace fusor {
namespace {

// The tokens that top_k leaves, in descending order of their logits where top_p needs it.
std::vector<std::int32_t> candidates(std::span<const float> logits, const SamplingConfig& config) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto before = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  if (config.top_k > 0 && config.top_k < std::ssize(ids)) {
    std::nth_element(ids.begin(), ids.begin() + config.top_k, ids.end(), before);
    ids.resize(static_cast<std::size_t>(config.top_k));
  }
  if (config.top_p < 1)
    std::sort(ids.begin(), ids.end(), before);
  else
    std::sort(ids.begin(), ids.end());
  return ids;
}

// exp((logit - largest) / temperature) of each id: probabilities but for a factor.
std::vector<double> weights_of(const std::vector<std::int32_t>& ids, std::span<const float> logits,
                               double temperature) {
  const auto logit = [&](std::int32_t id) {
    return static_cast<double>(logits[static_cast<std::size_t>(id)]);
  };
  double largest = logit(ids[0]);
  for (const std::int32_t id : ids) largest = std::max(largest, logit(id));
  std::vector<double> weights;
  weights.reserve(ids.size());
  for (const std::int32_t id : ids)
    weights.push_back(std::exp((logit(id) - largest) / temperature));
  return weights;
}

// The fewest leading weights that sum to at least `share` of all of them.
std::size_t nucleus(const std::vector<double>& weights, double share) {
  const double enough = share * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    if ((sum += weights[i]) >= enough) return i + 1;
  return weights.size();
}

std::vector<float> to_f32(const Tensor& t) {
  return on_float(t.dtype(), [&]<class T>() {
    std::vector<float> values;
    for (const T x : t.host<T>()) values.push_back(static_cast<float>(x));
    return values;
  });
}

}  // namespace

void require_valid(const SamplingConfig& c) {
  require(std::isfinite(c.temperature) && c.temperature >= 0, "temperature is ", c.temperature,
          ", but must be 0 or above");
  require(c.top_k >= 0, "top-k is ", c.top_k, ", but must be 0 or above");
  require(c.top_p > 0 && c.top_p <= 1, "top-p is ", c.top_p, ", but must be above 0 and at most 1");
}

std::int32_t sample_token(std::span<const float> logits, const SamplingConfig& config,
                          std::int64_t position) {
  require_valid(config);
  require(!logits.empty() && std::ranges::all_of(logits, [](float x) { return std::isfinite(x); }),
          "the logits of token ", position, " are not finite");
  if (config.temperature == 0)
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  const std::vector<std::int32_t> ids = candidates(logits, config);
  std::vector<double> weights = weights_of(ids, logits, config.temperature);
  if (config.top_p < 1) weights.resize(nucleus(weights, config.top_p));
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  const RandomKey key = random_key(config.seed, "sample");
  const double u = uniform(key, static_cast<std::uint64_t>(position)) * weights.back();
  return ids[static_cast<std::size_t>(std::ranges::upper_bound(weights, u) - weights.begin())];
}

Generator::Generator(const Gpt& model, std::int64_t capacity, DType dtype, const Device& device)
    : model_(model), device_(device), cache_([&] {
        require(capacity > 0 && capacity <= model.config().seq_len, "a cache of ", capacity,
                " tokens, but the model takes 1 to ", model.config().seq_len);
        const Owned owned(device, Owner::activations);
        return GptCache(model.config(), capacity, dtype, device);
      }()) {
  const Device host = Device::staging(device);
  tokens_ = Tensor({capacity}, DType::i32, host);
  logits_ = Tensor({model.config().vocab_size}, dtype, host);
}

std::int64_t Generator::window() const { return std::max<std::int64_t>(cache_.capacity / 2, 1); }

std::vector<float> Generator::read(std::string_view program, std::span<const std::int32_t> tokens) {
  const Program run(device_, program);
  const Tensor input = [&] {
    const Owned owned(device_, Owner::input);
    return Tensor({std::ssize(tokens)}, DType::i32, device_);
  }();
  const Tensor staged = tokens_.rows(0, std::ssize(tokens));
  std::ranges::copy(tokens, staged.host<std::int32_t>().begin());
  copy(staged, input);
  copy(model_.extend(input, cache_), logits_);
  synchronize(device_);
  return device_.kind() == DeviceKind::meta ? std::vector<float>() : to_f32(logits_);
}

void Generator::generate(std::span<const std::int32_t> prompt, std::int64_t count,
                         const SamplingConfig& config,
                         const std::function<void(std::int32_t)>& emit) {
  require(!prompt.empty(), "a text to go on from needs at least one token");
  for (const std::int32_t token : prompt)
    require(0 <= token && token < model_.config().vocab_size, "the prompt holds token ", token,
            ", which a model of model.vocab_size ", model_.config().vocab_size, " does not know");
  if (count <= 0) return;
  std::vector<std::int32_t> text(prompt.begin(), prompt.end());
  const auto last = [&](std::int64_t n) {
    return std::span<const std::int32_t>(text).last(
        static_cast<std::size_t>(std::min(n, std::ssize(text))));
  };
  cache_.length = 0;
  std::vector<float> logits = read("sample.prefill", last(cache_.capacity));
  for (std::int64_t i = 0;; ++i) {
    text.push_back(sample_token(logits, config, std::ssize(text)));
    emit(text.back());
    if (i + 1 == count) return;
    if (cache_.length < cache_.capacity) {
      logits = read("sample.decode", last(1));
    } else {
      cache_.length = 0;
      logits = read("sample.window", last(window()));
    }
  }
}

void Generator::rehearse(std::int64_t prompt_length, std::int64_t count) {
  const auto play = [&](std::string_view program, std::int64_t length) {
    cache_.length = 0;
    read(program, std::vector<std::int32_t>(static_cast<std::size_t>(length)));
  };
  const std::int64_t first = std::min(prompt_length, cache_.capacity);
  play("sample.prefill", first);
  if (count > 1) play("sample.decode", 1);
  if (first + count - 1 > cache_.capacity) play("sample.window", window());
}

}  // namespace fusor
