#include "io/element_type.h"

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr ElementType kAll[] = {ElementType::u8,  ElementType::u16, ElementType::i16,
                                ElementType::i32, ElementType::i64, ElementType::f32};

}  // namespace

std::int64_t size_of(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return 1;
    case ElementType::u16:
    case ElementType::i16:
      return 2;
    case ElementType::i32:
    case ElementType::f32:
      return 4;
    case ElementType::i64:
      return 8;
  }
  raise("no such element type");
}

std::string_view name_of(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return "u8";
    case ElementType::u16:
      return "u16";
    case ElementType::i16:
      return "i16";
    case ElementType::i32:
      return "i32";
    case ElementType::i64:
      return "i64";
    case ElementType::f32:
      return "f32";
  }
  raise("no such element type");
}

std::optional<ElementType> find_element_type(std::string_view name) {
  for (const ElementType type : kAll)
    if (name == name_of(type)) return type;
  return std::nullopt;
}

}  // namespace fusor
