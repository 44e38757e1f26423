// Linux keeps a high-water mark of resident memory. A measurement that touches a large buffer raises the mark for good,
// and every later answer would be charged with it. Writing 5 to /proc/self/clear_refs sets the mark back to what is in
// use now (proc(5)); so the mark is read before the measurement and set back after it. Where a system does not allow
// that, the mark counts again once it rises beyond the measurement's: until then the figure may be too low, by the size
// of the buffer at most, and it is never too high.
#include "engine/peak_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

namespace kvasir {
namespace {

// Not from getrusage(): its mark survives exec() and may be that of the program that started this one.
size_t SystemMark() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

void PeakMemory::Look() {
  const size_t mark = system_mark_();
  if (gaps_ == 0 && mark > ignored_) peak_ = std::max(peak_, mark);
}

size_t PeakMemory::Read() {
  const std::lock_guard lock(mutex_);
  Look();
  return peak_;
}

void PeakMemory::Pause() {
  const std::lock_guard lock(mutex_);
  Look();
  ++gaps_;
}

void PeakMemory::Resume() {
  const std::lock_guard lock(mutex_);
  if (--gaps_ > 0) return;
  std::ofstream("/proc/self/clear_refs") << "5";
  ignored_ = system_mark_();
}

PeakMemory& ProcessPeakMemory() {
  static PeakMemory peak(SystemMark);
  return peak;
}

}  // namespace kvasir
