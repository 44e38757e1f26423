// A line on the terminal that says how far a long step has come, and leaves no trace.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir::cli {

/// Shown on standard error if that is a terminal, once the step has taken 0.3 seconds; erased by Erase or at the end of
/// its life. One thread.
class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress() { Erase(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `total` 0: no bar, `detail` only.
  void Update(uint64_t done, uint64_t total, std::string_view detail = "");
  void Erase();

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point next_draw_;
};

/// The line itself, in at most `width` columns: "LABEL [#####-----]  50% DETAIL".
[[nodiscard]] std::string ProgressLine(std::string_view label, uint64_t done, uint64_t total, std::string_view detail,
                                       size_t width);

}  // namespace kvasir::cli
