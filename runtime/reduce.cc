#include "runtime/reduce.h"

#include <algorithm>
#include <array>

namespace fusor {
namespace {

constexpr std::int64_t kBlock = 2048;  // elements accumulated at a time; their sums stay in L1

template <class T>
using sum_t = std::conditional_t<is_half(dtype_of<T>), float, T>;

template <class T>
void reduce(ReduceOp op, std::span<const std::byte* const> parts, std::span<std::byte* const> outs,
            std::int64_t n) {
  std::array<sum_t<T>, kBlock> acc;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t m = std::min(kBlock, n - begin);
    const auto fold = [&](const T* x, auto combine) {
      for (std::int64_t i = 0; i < m; ++i)
        acc[i] = static_cast<sum_t<T>>(combine(acc[i], static_cast<sum_t<T>>(x[i])));
    };
    const auto block = [&](auto* base) {
      using Byte = std::remove_pointer_t<decltype(base)>;
      using Element = std::conditional_t<std::is_const_v<Byte>, const T, T>;
      return reinterpret_cast<Element*>(base) + begin;
    };
    fold(block(parts.front()), [](auto, auto x) { return x; });
    for (const std::byte* part : parts.subspan(1)) {
      if (op == ReduceOp::sum) fold(block(part), [](auto a, auto x) { return a + x; });
      if (op == ReduceOp::max) fold(block(part), [](auto a, auto x) { return x > a ? x : a; });
      if (op == ReduceOp::min) fold(block(part), [](auto a, auto x) { return x < a ? x : a; });
    }
    for (std::byte* out : outs)
      std::transform(acc.begin(), acc.begin() + m, block(out),
                     [](sum_t<T> x) { return static_cast<T>(x); });
  }
}

}  // namespace

void reduce_in_order(DType dtype, ReduceOp op, std::span<const std::byte* const> parts,
                     std::span<std::byte* const> outs, std::int64_t n) {
  switch (dtype) {
    case DType::f64:
      return reduce<double>(op, parts, outs, n);
    case DType::f32:
      return reduce<float>(op, parts, outs, n);
    case DType::bf16:
      return reduce<bf16>(op, parts, outs, n);
    case DType::f16:
      return reduce<f16>(op, parts, outs, n);
    case DType::i64:
      return reduce<std::int64_t>(op, parts, outs, n);
    case DType::i32:
      return reduce<std::int32_t>(op, parts, outs, n);
    case DType::u8:
      return reduce<std::uint8_t>(op, parts, outs, n);
  }
}

}  // namespace fusor
