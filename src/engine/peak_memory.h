// The most memory that the process has used at once, without what a measurement took.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>

namespace kvasir {

/// Peak resident memory with gaps: what is used between Pause and Resume does not count. Thread-safe; gaps may nest or
/// overlap.
class PeakMemory {
 public:
  /// `system_mark` reads the system's high-water mark of this process, in bytes.
  explicit PeakMemory(std::function<size_t()> system_mark) : system_mark_(std::move(system_mark)) {}
  void Pause();
  void Resume();
  /// In bytes, since the program started.
  [[nodiscard]] size_t Read();

 private:
  void Look();

  std::mutex mutex_;
  std::function<size_t()> system_mark_;
  size_t peak_ = 0;     // the highest that counts
  size_t ignored_ = 0;  // up to here the system's mark says nothing
  int gaps_ = 0;        // Pauses without their Resume
};

/// The peak of this process, by the system's own mark.
[[nodiscard]] PeakMemory& ProcessPeakMemory();

}  // namespace kvasir
