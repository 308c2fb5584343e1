#include "runtime/dtype.h"

#include <array>
#include <ostream>

namespace fusor {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<Row, 7> kRows{{{DType::f64, "f64", 8},
                                    {DType::f32, "f32", 4},
                                    {DType::bf16, "bf16", 2},
                                    {DType::f16, "f16", 2},
                                    {DType::i64, "i64", 8},
                                    {DType::i32, "i32", 4},
                                    {DType::u8, "u8", 1}}};

}  // namespace

std::size_t size_of(DType t) { return kRows[static_cast<std::size_t>(t)].bytes; }
std::string_view name_of(DType t) { return kRows[static_cast<std::size_t>(t)].name; }
DType acc_dtype(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }
std::ostream& operator<<(std::ostream& out, DType t) { return out << name_of(t); }

DType parse_dtype(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return row.dtype;
  raise("'" + std::string(name) + "' is no dtype; use f64, f32, bf16, f16, i64, i32 or u8");
}

}  // namespace fusor
