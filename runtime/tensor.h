#pragma once
#include <memory>
#include <span>

#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/shape.h"

namespace fusor {

// A dense row-major array. Copies and views share storage; the last one returns it to the device.
// Fresh tensors are not initialised.
class Tensor {
 public:
  Tensor() = default;  // no storage, no shape; defined() is false
  Tensor(Shape shape, DType dtype, const Device& device = Device());
  // Storage that has no bytes until refill().
  static Tensor dropped(Shape shape, DType dtype, const Device& device);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  // The extent of dim i; negative i counts from the last.
  std::int64_t dim(int i) const {
    const auto n = static_cast<int>(shape_.size());
    return shape_[static_cast<std::size_t>(i < 0 ? n + i : i)];
  }
  std::int64_t size() const { return size_; }  // elements
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  const Device& device() const;

  // The same elements under another shape. Throws Error if the sizes differ.
  Tensor view(Shape shape) const;
  // Rows [begin, end) of the leading dim.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  // `shape` elements from element `offset` of the storage, in order.
  Tensor slice(std::int64_t offset, Shape shape) const;
  // True if nothing else shares the storage, so that it may be written in place.
  bool unique() const { return storage_.use_count() == 1; }

  // Gives the storage's bytes back to the device, and takes bytes for it again, not initialised: of
  // this tensor and all that share its storage, which have nothing to read in between. Throws Error
  // where there is nothing to drop or to refill.
  void drop() const;
  void refill() const;

  // The first element. Throws Error if T is not the dtype, or the bytes are dropped. Null on meta.
  template <class T>
  T* data() const {
    require(dtype_of<T> == dtype_, "Tensor holds ", dtype_, ", asked for ", dtype_of<T>);
    return reinterpret_cast<T*>(raw());
  }
  std::byte* raw() const;
  // What the device calls the storage: on meta the id of its AllocEvent, 0 where nothing has one.
  std::uint64_t allocation() const;
  // The elements, where the host can reach them.
  template <class T>
  std::span<T> host() const {
    require(device().kind() == DeviceKind::cpu, "Tensor is not on the host");
    return {data<T>(), static_cast<std::size_t>(size_)};
  }

 private:
  struct Storage;
  Shape shape_;
  std::int64_t size_ = 0;
  std::int64_t offset_ = 0;  // elements
  DType dtype_ = DType::f32;
  std::shared_ptr<Storage> storage_;
};

Tensor empty_like(const Tensor&);  // same shape, dtype and device

}  // namespace fusor
