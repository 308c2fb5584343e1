#include "launch/signals.h"

#include <atomic>
#include <csignal>

namespace fusor {
namespace {

std::atomic<int> wished{0};
static_assert(std::atomic<int>::is_always_lock_free);  // so that a handler may use it

void on_signal(int signal) {
  int none = static_cast<int>(Wish::none);
  if (signal == SIGTERM)
    wished = static_cast<int>(Wish::save_and_stop);
  else
    wished.compare_exchange_strong(none, static_cast<int>(Wish::save));  // a stronger one stands
}

}  // namespace

void listen_to_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGUSR1, &action, nullptr);
}

Wish take_wish() { return static_cast<Wish>(wished.exchange(0)); }

}  // namespace fusor
