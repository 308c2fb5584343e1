#include "launch/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include "ops/fill.h"
#include "ops/linear.h"

namespace fusor::testing {
namespace {

Wish next_wish() {
  for (int tries = 0; tries < 1000; ++tries) {
    if (const Wish wish = take_wish(); wish != Wish::none) return wish;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return Wish::none;
}

Tensor filled(Shape shape) {
  Tensor ones(std::move(shape), DType::f32);
  ops::fill(ones, 1);
  return ones;
}

// One test, since a process listens once: signals in the middle of matrix products change nothing,
// and the strongest wish stands until it is taken.
TEST(Signals, AreHeardAndDoNotDisturbKernels) {
  listen_to_signals();
  const Tensor x = filled({1024, 128}), w = filled({384, 128}), dy = filled({1024, 384});
  const Tensor dw({384, 128}, DType::f32);
  std::jthread sender([](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::kill(::getpid(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  for (int i = 0; i < 300; ++i) {
    Tape tape;
    const Var weight = Var::parameter(w, dw);
    weight.grad().restart();
    tape.backward(linear(Var::input(x, &tape, /*wants_grad=*/true), weight), dy);
    for (const float value : dw.host<float>()) ASSERT_EQ(value, 1024);
  }
  EXPECT_EQ(next_wish(), Wish::save);
  ::kill(::getpid(), SIGTERM);
  Wish wish = next_wish();
  while (wish == Wish::save) wish = next_wish();  // of signals that came before
  EXPECT_EQ(wish, Wish::save_and_stop);
  sender.request_stop();
}

}  // namespace
}  // namespace fusor::testing
