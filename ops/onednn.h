#pragma once
#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "runtime/dtype.h"
#include "runtime/error.h"

// What the sources that call oneDNN share.
namespace fusor::ops::onednn {

inline const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline dnnl::memory::data_type type_of(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// Memory of ours, as oneDNN sees it.
inline dnnl::memory at(const dnnl::memory::desc& desc, const std::byte* data) {
  return {desc, engine(), const_cast<std::byte*>(data)};
}

// A primitive's workspace of `bytes` bytes.
inline dnnl::memory scratchpad(std::size_t bytes, std::byte* data) {
  const dnnl::memory::desc desc({static_cast<dnnl::memory::dim>(bytes)},
                                dnnl::memory::data_type::u8, dnnl::memory::format_tag::a);
  return at(desc, data);
}

// Each part of a workspace begins at a cache line.
inline std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace fusor::ops::onednn
