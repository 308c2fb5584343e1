#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/safetensors.h"
#include "runtime/tensor.h"

namespace fusor {

// Tensors of tests/golden/NAME.safetensors; the script that made them stands beside it.
class Golden {
 public:
  explicit Golden(const std::string& name) : file_(FUSOR_GOLDEN "/" + name + ".safetensors") {}

  template <class T>
  std::vector<T> read(const std::string& name) const {
    const SafetensorsEntry& entry = file_.at(name);
    EXPECT_EQ(entry.dtype, dtype_of<T>) << name;
    std::vector<T> values((entry.end - entry.begin) / sizeof(T));
    file_.read(entry, 0, std::as_writable_bytes(std::span(values)));
    return values;
  }

  Tensor tensor(const std::string& name) const {
    const SafetensorsEntry& entry = file_.at(name);
    const Tensor to(entry.shape, entry.dtype);
    file_.read(entry, 0, {to.raw(), to.bytes()});
    return to;
  }

 private:
  SafetensorsFile file_;
};

}  // namespace fusor
