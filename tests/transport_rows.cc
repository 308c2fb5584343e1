#include "tests/transport_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/copy.h"
#include "tests/thrown_by.h"

// One table of cases, run over every transport: alone, ranks as threads (1 to 4), and MPI with as
// many ranks as mpirun started. Values are small integers, so that every dtype holds their sums
// exactly.
namespace fusor {
namespace {

struct Case {
  DType dtype;
  std::int64_t n;
};
constexpr DType kDTypes[] = {DType::f64, DType::f32, DType::bf16, DType::f16,
                             DType::i64, DType::i32, DType::u8};
constexpr std::int64_t kSizes[] = {0, 1, 7, 1000};
constexpr Case kLarge[] = {{DType::f32, 1 << 18}, {DType::bf16, (1 << 18) + 1}};

// The value of element i on `rank`, at most 15.
int value(int rank, std::int64_t i) { return static_cast<int>((i * 7 + rank * 3 + 1) % 16); }

template <class F>
void on_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(bf16{});
    case DType::f16:
      return f(f16{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::i32:
      return f(std::int32_t{});
    default:
      return f(std::uint8_t{});
  }
}

Tensor on_device(const DeviceGroup& g, const Tensor& host) {
  Tensor t(host.shape(), host.dtype(), g.device);
  copy(host, t);
  synchronize(g.device);
  return t;
}

Tensor filled(const DeviceGroup& g, std::int64_t n, DType dtype, auto&& at) {
  Tensor t({n}, dtype);
  on_dtype(dtype, [&]<class T>(T) {
    T* const x = t.data<T>();
    for (std::int64_t i = 0; i < n; ++i) x[i] = static_cast<T>(static_cast<float>(at(i)));
  });
  return on_device(g, t);
}

// The index of the first element that is not what `at` says, or -1.
std::int64_t mismatch(const Tensor& on_any, auto&& at) {
  const Tensor t = on_host(on_any);
  std::int64_t wrong = -1;
  on_dtype(t.dtype(), [&]<class T>(T) {
    const auto x = t.host<T>();
    for (std::int64_t i = 0; i < t.size() && wrong < 0; ++i)
      if (static_cast<float>(x[static_cast<std::size_t>(i)]) != static_cast<float>(at(i)))
        wrong = i;
  });
  return wrong;
}

int reduced(ReduceOp op, int size, std::int64_t i) {
  int result = value(0, i);
  for (int r = 1; r < size; ++r) {
    const int v = value(r, i);
    result = op == ReduceOp::sum   ? result + v
             : op == ReduceOp::max ? std::max(result, v)
                                   : std::min(result, v);
  }
  return result;
}

void all_reduce(const DeviceGroup& g, DType dtype, std::int64_t n) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min}) {
    const Tensor t = filled(g, n, dtype, [&](auto i) { return value(g.rank(), i); });
    g->all_reduce(t, op, "t").wait();
    EXPECT_EQ(mismatch(t, [&](auto i) { return reduced(op, g.size(), i); }), -1);
  }
}

void all_gather(const DeviceGroup& g, DType dtype, std::int64_t n) {
  const auto expected = [&](auto i) { return value(static_cast<int>(i / n), i % n); };
  const Tensor in = filled(g, n, dtype, [&](auto i) { return value(g.rank(), i); });
  const Tensor out = filled(g, n * g.size(), dtype, [](auto) { return 99; });
  g->all_gather(in, out, "t").wait();
  EXPECT_EQ(mismatch(out, expected), -1);

  const Tensor whole = filled(g, n * g.size(), dtype, [&](auto i) {
    return i / n == g.rank() ? value(g.rank(), i % n) : 99;
  });
  g->all_gather(whole.rows(g.rank() * n, (g.rank() + 1) * n), whole, "in place").wait();
  EXPECT_EQ(mismatch(whole, expected), -1);
}

void reduce_scatter(const DeviceGroup& g, DType dtype, std::int64_t n) {
  const std::int64_t begin = g.rank() * n;
  const auto expected = [&](auto i) { return reduced(ReduceOp::sum, g.size(), begin + i); };
  const Tensor in = filled(g, n * g.size(), dtype, [&](auto i) { return value(g.rank(), i); });
  const Tensor out = filled(g, n, dtype, [](auto) { return 99; });
  g->reduce_scatter(in, out, "t").wait();
  EXPECT_EQ(mismatch(out, expected), -1);
  EXPECT_EQ(mismatch(in, [&](auto i) { return value(g.rank(), i); }), -1) << "in was written";

  const Tensor own = in.rows(begin, begin + n);
  g->reduce_scatter(in, own, "in place").wait();
  EXPECT_EQ(mismatch(own, expected), -1);
}

void all_to_all(const DeviceGroup& g, DType dtype, std::int64_t n) {
  // Element j of the block from rank r to rank q is value(r, q * n + j).
  const Tensor in = filled(g, n * g.size(), dtype, [&](auto i) { return value(g.rank(), i); });
  const Tensor out = filled(g, n * g.size(), dtype, [](auto) { return 99; });
  g->all_to_all(in, out, "t").wait();
  EXPECT_EQ(
      mismatch(out, [&](auto i) { return value(static_cast<int>(i / n), g.rank() * n + i % n); }),
      -1);
}

void broadcast(const DeviceGroup& g, DType dtype, std::int64_t n) {
  for (int root = 0; root < g.size(); ++root) {
    const Tensor t = filled(g, n, dtype, [&](auto i) { return value(g.rank(), i); });
    g->broadcast(t, root, "t").wait();
    EXPECT_EQ(mismatch(t, [&](auto i) { return value(root, i); }), -1);
  }
}

// Everyone sends to the next rank; two messages at once arrive in the order they were sent.
void ring(const DeviceGroup& g, DType dtype, std::int64_t n) {
  const int next = (g.rank() + 1) % g.size(), last = (g.rank() + g.size() - 1) % g.size();
  const Tensor a = filled(g, n, dtype, [&](auto i) { return value(g.rank(), i); });
  const Tensor b = filled(g, n, dtype, [&](auto i) { return value(g.rank() + 1, i); });
  const Tensor from_a = filled(g, n, dtype, [](auto) { return 99; });
  const Tensor from_b = filled(g, n, dtype, [](auto) { return 99; });
  Pending sends[] = {g->send(a, next, "a"), g->send(b, next, "b")};
  Pending second_to_wait = g->recv(from_a, last, "a");
  g->recv(from_b, last, "b").wait();
  second_to_wait.wait();
  for (Pending& send : sends) send.wait();
  EXPECT_EQ(mismatch(from_a, [&](auto i) { return value(last, i); }), -1);
  EXPECT_EQ(mismatch(from_b, [&](auto i) { return value(last + 1, i); }), -1);
}

// Eight sums in flight, waited for in another order on every rank; progress() and done() move them.
void in_flight(const DeviceGroup& g, DType dtype, std::int64_t n) {
  std::vector<Tensor> tensors;
  std::vector<Pending> pending;
  for (int k = 0; k < 8; ++k) {
    tensors.push_back(filled(g, n, dtype, [&](auto i) { return value(g.rank(), i + k); }));
    pending.push_back(g->all_reduce(tensors.back(), ReduceOp::sum, "k"));
    g->progress();
  }
  while (!pending[5].done()) g->progress();
  for (int k = 0; k < 8; ++k) pending[static_cast<std::size_t>((k * 3 + g.rank()) % 8)].wait();
  for (int k = 0; k < 8; ++k)
    EXPECT_EQ(mismatch(tensors[static_cast<std::size_t>(k)],
                       [&](auto i) { return reduced(ReduceOp::sum, g.size(), i + k); }),
              -1);
}

// Operands die with the Pending, not with the caller's name for them.
void operands_live(const DeviceGroup& g, DType dtype, std::int64_t n) {
  const Tensor out = filled(g, n * g.size(), dtype, [](auto) { return 99; });
  Pending pending =
      g->all_gather(filled(g, n, dtype, [&](auto i) { return value(g.rank(), i); }), out, "t");
  const Tensor decoy = filled(g, n, dtype, [](auto) { return 77; });
  pending.wait();
  EXPECT_EQ(mismatch(out, [&](auto i) { return value(static_cast<int>(i / n), i % n); }), -1);
}

template <auto body>
void every_case(const DeviceGroup& g) {
  std::vector<Case> cases(std::begin(kLarge), std::end(kLarge));
  for (const DType dtype : kDTypes)
    for (const std::int64_t n : kSizes) cases.push_back({dtype, n});
  for (const auto& [dtype, n] : cases) {
    SCOPED_TRACE(std::string(name_of(dtype)) + " x " + std::to_string(n));
    body(g, dtype, n);
  }
}

// Even and odd ranks; then each rank alone, within its half.
void split(const DeviceGroup& g) {
  std::vector<int> parity(static_cast<std::size_t>(g.size()));
  for (int r = 0; r < g.size(); ++r) parity[static_cast<std::size_t>(r)] = r % 2;
  const DeviceGroup half(g.split(parity, "half"), g.device);
  EXPECT_EQ(half.name(), "half");
  EXPECT_EQ(half.size(), (g.size() + 1 - g.rank() % 2) / 2);
  EXPECT_EQ(half.rank(), g.rank() / 2);
  const Tensor t = filled(g, 5, DType::i32, [&](auto) { return g.rank() + 1; });
  half->all_reduce(t, ReduceOp::sum, "half").wait();
  int sum = 0;
  for (int r = g.rank() % 2; r < g.size(); r += 2) sum += r + 1;
  EXPECT_EQ(mismatch(t, [&](auto) { return sum; }), -1);

  std::vector<int> own(static_cast<std::size_t>(half.size()));
  std::iota(own.begin(), own.end(), 0);
  const DeviceGroup alone(half.split(own, "alone"), g.device);
  EXPECT_EQ(alone.size(), 1);
  all_reduce(alone, DType::f32, 9);
  ring(alone, DType::f32, 9);
}

void texts(const DeviceGroup& g) {
  const std::string mine(static_cast<std::size_t>(g.rank() * 3), static_cast<char>('a' + g.rank()));
  const auto all = gather_texts(g, mine, "texts");
  ASSERT_EQ(all.size(), static_cast<std::size_t>(g.size()));
  for (int r = 0; r < g.size(); ++r)
    EXPECT_EQ(all[static_cast<std::size_t>(r)],
              std::string(static_cast<std::size_t>(r * 3), static_cast<char>('a' + r)));
  g->barrier("after texts");
}

// The caller's mistakes end in a sentence on every rank, with nothing in flight.
void mistakes(const DeviceGroup& g) {
  const Tensor five({5}, DType::f32, g.device), whole({5}, DType::f64, g.device);
  const std::string over = " over " + g.name() + ": ", n = std::to_string(g.size());
  EXPECT_EQ(thrown_by([&] { g->all_gather(five, Tensor({99}, DType::f32, g.device), "x"); }),
            "all_gather \"x\"" + over + "out holds 99 elements, not " + n + " x 5");
  EXPECT_EQ(thrown_by([&] { g->all_to_all(five, whole, "x"); }),
            "all_to_all \"x\"" + over + "in is f32, out f64");
  EXPECT_EQ(thrown_by([&] { g->broadcast(five, g.size(), "x"); }),
            "broadcast \"x\"" + over + "no rank " + n + " among " + n);
}

// bf16 sums round to nearest even, from sums in f32: 1 + 1/256 is a tie and stays at 1.
void bf16_rounds(const DeviceGroup& g) {
  const Tensor own({3}, DType::bf16);
  const float first[] = {1, 1, 1.0078125f}, other[] = {0.00390625f, 0.0078125f, 0.00390625f};
  const float expected[] = {1, 1.0078125f, 1.015625f};
  for (std::size_t i = 0; i < 3; ++i)
    own.host<bf16>()[i] = bf16(g.rank() == 0 ? first[i] : g.rank() == 1 ? other[i] : 0);
  const Tensor t = on_device(g, own);
  g->all_reduce(t, ReduceOp::sum, "round").wait();
  const Tensor sum = on_host(t);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(static_cast<float>(sum.host<bf16>()[i]), g.size() == 1 ? first[i] : expected[i]);
}

}  // namespace

const std::vector<TransportRow> kTransportRows = {{"all_reduce", every_case<all_reduce>},
                                                  {"all_gather", every_case<all_gather>},
                                                  {"reduce_scatter", every_case<reduce_scatter>},
                                                  {"all_to_all", every_case<all_to_all>},
                                                  {"broadcast", every_case<broadcast>},
                                                  {"ring", every_case<ring>},
                                                  {"in_flight", every_case<in_flight>},
                                                  {"operands_live", every_case<operands_live>},
                                                  {"split", split},
                                                  {"gather_texts", texts},
                                                  {"mistakes", mistakes},
                                                  {"bf16_rounds", bf16_rounds}};

}  // namespace fusor
