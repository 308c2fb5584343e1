#pragma once
#include <utility>

namespace fusor {

// Sole owner of a C handle. `None` (T{} unless given) means "owns nothing".
template <class T, auto Release, T None = T{}>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T raw) : raw_(raw) {}
  Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, None)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Handle() {
    if (raw_ != None) Release(raw_);
  }
  T get() const { return raw_; }
  [[nodiscard]] T release() { return std::exchange(raw_, None); }  // the caller owns it now
  explicit operator bool() const { return raw_ != None; }

 private:
  T raw_ = None;
};

}  // namespace fusor
