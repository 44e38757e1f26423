// Ctrl-C as a flag that a long step looks at, instead of the end of the program.
#pragma once

#include <signal.h>

#include <atomic>

namespace kvasir::cli {

/// While it lives, the first Ctrl-C (SIGINT) only sets the flag; the second one ends the program as usual. One at a
/// time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] const std::atomic<bool>& flag() const;
  /// Sleeps until `descriptor` can be read, and is true then; false as soon as Ctrl-C was pressed, however shortly
  /// before the call. Only while an Interrupt lives.
  [[nodiscard]] static bool WaitForInput(int descriptor);
  [[nodiscard]] bool raised() const { return flag().load(std::memory_order_relaxed); }

 private:
  struct sigaction previous_{};
};

}  // namespace kvasir::cli
