#include "tests/another_order.h"

#include "emulated/control.h"

namespace fusor {

AnotherOrder::AnotherOrder() { emulator::reverse_order(true); }
AnotherOrder::~AnotherOrder() { emulator::reverse_order(false); }

}  // namespace fusor
