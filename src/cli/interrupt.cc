#include "cli/interrupt.h"

#include <poll.h>

#include <cerrno>

namespace kvasir::cli {
namespace {

// Written by the signal handler, which may touch lock-free atomics only.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

Interrupt::Interrupt() {
  interrupted.store(false);
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted.store(true); };
  // No SA_RESTART: a read that waits for a line must return. RESETHAND: the second Ctrl-C finds the default action.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &previous_);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &previous_, nullptr);
}

bool Interrupt::WaitForInput(int descriptor) {
  // The signal is held back between the look at the flag and the sleep, so that it cannot fall in between.
  sigset_t held;
  sigset_t before;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  pthread_sigmask(SIG_BLOCK, &held, &before);
  pollfd input{.fd = descriptor, .events = POLLIN, .revents = 0};
  int ready = 0;
  while (!interrupted.load() && ready == 0) {
    ready = ppoll(&input, 1, nullptr, &before);
    if (ready < 0 && errno == EINTR) ready = 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return !interrupted.load();
}

const std::atomic<bool>& Interrupt::flag() const {
  return interrupted;
}

}  // namespace kvasir::cli
