#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace fusor {

// How the numbers of a dataset are stored, little-endian.
enum class ElementType : std::uint8_t { u8, u16, i16, i32, i64, f32 };
std::int64_t size_of(ElementType);      // bytes of one element
std::string_view name_of(ElementType);  // "u16"
std::optional<ElementType> find_element_type(std::string_view name);

template <class T>
inline constexpr ElementType element_type_of = [] {
  if constexpr (std::is_same_v<T, std::uint8_t> || std::is_same_v<T, char>)
    return ElementType::u8;
  else if constexpr (std::is_same_v<T, std::uint16_t>)
    return ElementType::u16;
  else if constexpr (std::is_same_v<T, std::int16_t>)
    return ElementType::i16;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return ElementType::i32;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return ElementType::i64;
  else {
    static_assert(std::is_same_v<T, float>, "datasets store no such type");
    return ElementType::f32;
  }
}();

}  // namespace fusor
