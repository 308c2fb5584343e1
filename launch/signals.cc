#include "launch/signals.h"

#include <atomic>
#include <csignal>
#include <thread>

#include "runtime/error.h"

namespace fusor {
namespace {

std::atomic<Wish> wished{Wish::none};

[[noreturn]] void listen(const sigset_t& signals) {
  while (true) {
    int signal = 0;
    ::sigwait(&signals, &signal);
    Wish none = Wish::none;
    if (signal == SIGTERM)
      wished = Wish::save_and_stop;
    else
      wished.compare_exchange_strong(none, Wish::save);  // a stronger one stands
  }
}

}  // namespace

void listen_to_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  check_errno(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0, "cannot block signals");
  std::thread([signals] { listen(signals); }).detach();
}

Wish take_wish() { return wished.exchange(Wish::none); }

}  // namespace fusor
