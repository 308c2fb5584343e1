#include "runtime/tensor.h"

namespace fusor {

struct Tensor::Storage {
  Storage(const Device& device, std::size_t bytes) : device(device), bytes(bytes) {}
  ~Storage() {
    if (held) drop();
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void refill() {
    block = device.backend().allocate(bytes);
    held = true;
  }
  void drop() {
    device.backend().release(block);
    block = {};
    held = false;
  }

  Device device;
  std::size_t bytes;
  bool held = false;
  DeviceBackend::Block block{};
};

Tensor::Tensor(Shape shape, DType dtype, const Device& device)
    : shape_(std::move(shape)), size_(num_elements(shape_)), dtype_(dtype) {
  for (const std::int64_t extent : shape_) require(extent >= 0, "Tensor of shape ", shape_);
  storage_ = std::make_shared<Storage>(device, bytes());
  storage_->refill();
}

Tensor Tensor::dropped(Shape shape, DType dtype, const Device& device) {
  Tensor t;
  t.shape_ = std::move(shape);
  t.size_ = num_elements(t.shape_);
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(device, t.bytes());
  return t;
}

void Tensor::drop() const {
  require(defined() && storage_->held, "a Tensor without bytes was dropped");
  storage_->drop();
}

void Tensor::refill() const {
  require(defined() && !storage_->held, "a Tensor that has bytes was refilled");
  storage_->refill();
}

const Device& Tensor::device() const {
  require(defined(), "Tensor has no storage");
  return storage_->device;
}

Tensor Tensor::slice(std::int64_t offset, Shape shape) const {
  const std::int64_t size = num_elements(shape);
  require(offset >= 0 && offset + size <= size_, "slice of ", size, " elements at ", offset,
          " of a Tensor ", shape_);
  Tensor part = *this;
  part.shape_ = std::move(shape);
  part.size_ = size;
  part.offset_ += offset;
  return part;
}

Tensor Tensor::view(Shape shape) const {
  require(num_elements(shape) == size_, "view of ", shape_, " as ", shape);
  return slice(0, std::move(shape));
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  require(rank() > 0 && 0 <= begin && begin <= end && end <= dim(0), "rows ", begin, " to ", end,
          " of ", shape_);
  Shape shape = shape_;
  shape[0] = end - begin;
  return slice(dim(0) ? begin * (size_ / dim(0)) : 0, std::move(shape));
}

std::byte* Tensor::raw() const {
  require(defined() && storage_->held, "Tensor has no bytes");
  std::byte* data = storage_->block.data;
  return data ? data + offset_ * static_cast<std::int64_t>(size_of(dtype_)) : nullptr;
}

std::uint64_t Tensor::allocation() const { return storage_ ? storage_->block.id : 0; }

Tensor empty_like(const Tensor& t) { return {t.shape(), t.dtype(), t.device()}; }

}  // namespace fusor
