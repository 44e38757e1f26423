#include "cli/interrupt.h"

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

const std::atomic<bool>& Interrupt::flag() const {
  return interrupted;
}

}  // namespace kvasir::cli
