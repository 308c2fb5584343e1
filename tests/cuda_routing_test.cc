// The routing of tokens to experts on CUDA is that of the CPU to the last slot.
#include <gmock/gmock.h>

#include <cmath>

#include "ops/expert_dispatch.h"
#include "ops/top_k_router.h"
#include "tests/cuda_gpu.h"
#include "tests/near.h"

namespace fusor {
namespace {

Tensor on_device(const Tensor& t, const Device& device) { return cast(t, t.dtype(), device); }

// Multiples of 1/4, so that many are equal.
Tensor tied_logits(const Shape& shape, DType dtype, std::uint64_t seed) {
  Tensor logits = noise(shape, DType::f64, seed);
  fill(logits, [x = doubles(logits)](std::size_t i) { return std::round(4 * x[i]) / 4; });
  return cast(logits, dtype);
}

TEST_F(OnCuda, TopKIsThatOfTheCpu) {
  const Device device = Device::cuda(0, /*poison=*/true);
  for (const DType dtype : {DType::f64, DType::f32})
    for (const auto& [experts, k] : {std::pair{1, 1}, {5, 2}, {64, 8}, {70, 70}}) {
      const Tensor logits = tied_logits({45, experts}, dtype, 1);
      EXPECT_EQ(doubles(on_host(top_k(on_device(logits, device), k))), doubles(top_k(logits, k)))
          << k << " of " << experts << ' ' << name_of(dtype);
    }
}

TEST_F(OnCuda, TopKTakesNoExpertTwiceWhereLogitsAreNoNumbers) {
  const Device device = Device::cuda(0, /*poison=*/true);
  const Tensor logits = noise({1, 70}, DType::f32, 1);
  for (const std::int64_t i : {0, 3, 35, 69}) set(logits, i, NAN);
  std::vector<double> choices = doubles(on_host(top_k(on_device(logits, device), 70)));
  std::ranges::sort(choices);
  for (std::size_t i = 0; i < choices.size(); ++i) EXPECT_EQ(choices[i], i);
}

struct Routed {
  std::vector<double> global, slots, sources, counts;
  bool operator==(const Routed&) const = default;
};

// This rank's rows, in a micro-batch whose other rows chose too.
Routed routed(const RowMap& rows, std::int64_t n, std::int64_t experts, std::int64_t k,
              std::int64_t capacity, const Device& device) {
  const std::int64_t all = n / rows.local_len * rows.seq_len;
  const Tensor choices = top_k(tied_logits({all, experts}, DType::f32, 2), k);
  std::vector<std::int64_t> places;
  for (std::int64_t r = 0; r < n; ++r)
    places.push_back(rows.global_row(r) - rows.first_sample * rows.seq_len);
  Tensor mine({n, k}, DType::i32);
  fill(mine, [&, x = doubles(choices)](std::size_t i) {
    return x[static_cast<std::size_t>(places[i / k] * k) + i % k];
  });
  const Tensor global = global_choices(on_device(mine, device), rows);
  const Routing routing = route_tokens(on_device(choices, device), n, rows, experts, capacity);
  return {doubles(on_host(global)), doubles(on_host(routing.slots)),
          doubles(on_host(routing.sources)), doubles(on_host(routing.counts))};
}

TEST_F(OnCuda, RoutingIsThatOfTheCpu) {
  const Device device = Device::cuda(0, /*poison=*/true);
  const RowMap whole = RowMap::whole(3, 40), second = RowMap::zigzag(3, 40, 1, 2);
  for (const std::int64_t capacity : {1, 7, 90, 1000}) {
    SCOPED_TRACE("capacity " + std::to_string(capacity));
    EXPECT_EQ(routed(whole, 40, 5, 1, capacity, device),
              routed(whole, 40, 5, 1, capacity, Device()));
    EXPECT_EQ(routed(whole, 1200, 6, 3, capacity, device),
              routed(whole, 1200, 6, 3, capacity, Device()));
    EXPECT_EQ(routed(second, 600, 6, 2, capacity, device),
              routed(second, 600, 6, 2, capacity, Device()));
  }
}

// The gradient of the logits, with a pull towards equal use.
Tensor logits_gradient(const Tensor& logits, std::int64_t k, const Device& device) {
  Tape tape;
  const Var x = Var::input(on_device(logits, device), &tape, /*wants_grad=*/true);
  const Tensor choices = top_k(x.value(), k);
  const Tensor counts = noise_ids({logits.dim(1)}, 50, 3);
  const Tensor scale = cast(noise({1}, DType::f64, 6), DType::f64, device);
  const Var y = router_weights(x, choices, {on_device(counts, device), 0.5, scale});
  tape.backward(y, on_device(noise(y.shape(), logits.dtype(), 4), device));
  return on_host(x.grad().tensor());
}

TEST_F(OnCuda, BalanceIsThatOfTheCpu) {
  const Device device = Device::cuda(0, /*poison=*/true);
  for (const std::int64_t k : {1, 3}) {
    const Tensor logits = noise({50, 40}, DType::f32, 5);
    EXPECT_LT(distance(logits_gradient(logits, k, device), logits_gradient(logits, k, Device())),
              3e-6)
        << "k " << k;
  }
}

}  // namespace
}  // namespace fusor
