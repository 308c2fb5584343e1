#include "tests/another_order.h"

namespace fusor {

AnotherOrder::AnotherOrder() = default;
AnotherOrder::~AnotherOrder() = default;

}  // namespace fusor
