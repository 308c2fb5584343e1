#pragma once

namespace fusor {

// For as long as it lives, threads and blocks of kernels run in another order than before: reversed
// on the emulated device. A GPU has no order of its own, there it does nothing.
class AnotherOrder {
 public:
  AnotherOrder();
  ~AnotherOrder();
  AnotherOrder(const AnotherOrder&) = delete;
  AnotherOrder& operator=(const AnotherOrder&) = delete;
};

}  // namespace fusor
