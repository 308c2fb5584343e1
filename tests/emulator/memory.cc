#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/emulator/machine.h"

namespace fusor::emulator {
namespace {

constexpr int kPoison = 0xff;  // NaN in every floating type

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

void check_in(const std::map<std::uintptr_t, std::size_t>& allocations, const void* p,
              std::size_t bytes) {
  auto it = allocations.upper_bound(address(p));
  if (it == allocations.begin()) return;
  --it;
  const std::size_t offset = address(p) - it->first;
  if (offset >= it->second) return;
  expect(offset + bytes <= it->second, std::to_string(bytes) + " bytes at offset " +
                                           std::to_string(offset) + " of an allocation of " +
                                           std::to_string(it->second));
}

}  // namespace

void free_all(Gpu& gpu) {
  while (!gpu.memory.allocations().empty())
    gpu.memory.give_back(reinterpret_cast<void*>(gpu.memory.allocations().begin()->first));
  gpu.used = 0;
}

// A range that begins in an allocation ends in it.
void check_range(const Machine& m, const void* p, std::size_t bytes) {
  expect(p != nullptr, "a null pointer");
  for (const Gpu& gpu : m.gpus) check_in(gpu.memory.allocations(), p, bytes);
  check_in(m.host, p, bytes);
}

}  // namespace fusor::emulator

using namespace fusor::emulator;

cudaError_t cudaMalloc(void** to, std::size_t bytes) {
  return call(During::refused, [=](Machine& m) {
    Gpu& gpu = current_gpu(m);
    *to = nullptr;
    if (bytes == 0) return;
    if (gpu.used + bytes > gpu.capacity) fail(cudaErrorMemoryAllocation, "out of memory");
    *to = gpu.memory.take(bytes);
    gpu.used += bytes;
  });
}

cudaError_t cudaFree(void* p) {
  return call(During::refused, [=](Machine& m) {
    if (!p) return;
    for (Gpu& gpu : m.gpus)
      if (const auto it = gpu.memory.allocations().find(address(p));
          it != gpu.memory.allocations().end()) {
        run_device(gpu);
        const std::size_t bytes = it->second;
        gpu.used -= bytes;
        if (gpu.memory.give_back(p)) return;
        gpu.broken =
            Fault{cudaErrorIllegalAddress, "something has written behind an allocation of " +
                                               std::to_string(bytes) + " bytes"};
        throw *gpu.broken;
      }
    fail(cudaErrorInvalidValue,
         "cudaFree of what cudaMalloc did not give, or of memory freed before");
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call(During::allowed, [=](Machine& m) {
    const Gpu& gpu = current_gpu(m);
    *free = gpu.capacity - std::min(gpu.used, gpu.capacity);
    *total = gpu.capacity;
  });
}

cudaError_t cudaHostAlloc(void** to, std::size_t bytes, unsigned) {
  return call(During::refused, [=](Machine& m) {
    if (posix_memalign(to, 256, bytes) != 0) throw std::bad_alloc();
    std::memset(*to, kPoison, bytes);
    m.host[address(*to)] = bytes;
  });
}
cudaError_t cudaMallocHost(void** to, std::size_t bytes) {
  return cudaHostAlloc(to, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* p) {
  return call(During::refused, [=](Machine& m) {
    if (!p) return;
    const auto it = m.host.find(address(p));
    expect(it != m.host.end(),
           "cudaFreeHost of what cudaHostAlloc did not give, or of memory freed before");
    std::memset(p, kPoison, it->second);
    std::free(p);
    m.host.erase(it);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    if (bytes == 0) return;
    check_range(m, to, bytes);
    check_range(m, from, bytes);
    queue(stream_of(m, stream), [=] { std::memmove(to, from, bytes); });
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind)) return status;
  return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind, cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    if (width == 0 || height == 0) return;
    expect(width <= to_pitch && width <= from_pitch, "a row is wider than its pitch");
    check_range(m, to, (height - 1) * to_pitch + width);
    check_range(m, from, (height - 1) * from_pitch + width);
    queue(stream_of(m, stream), [=] {
      for (std::size_t row = 0; row < height; ++row)
        std::memmove(static_cast<char*>(to) + row * to_pitch,
                     static_cast<const char*>(from) + row * from_pitch, width);
    });
  });
}

cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    if (bytes == 0) return;
    check_range(m, p, bytes);
    queue(stream_of(m, stream), [=] { std::memset(p, value, bytes); });
  });
}

cudaError_t cudaMemset(void* p, int value, std::size_t bytes) {
  if (const cudaError_t status = cudaMemsetAsync(p, value, bytes)) return status;
  return cudaStreamSynchronize(nullptr);
}
