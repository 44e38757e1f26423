// Linux keeps a high-water mark of resident memory. A measurement that touches a large buffer raises the mark for good,
// and every later answer would be charged with it. Writing 5 to /proc/self/clear_refs sets the mark back to what is in
// use now (proc(5)); so the mark is read before the measurement and set back after it. Where a system does not allow
// that, the mark counts again once it rises beyond the measurement's: until then the figure may be too low, by the size
// of the buffer at most, and it is never too high.
#include "cli/peak_memory.h"

#include <algorithm>
#include <fstream>

namespace kvasir::cli {

size_t PeakMemory::Read() {
  const size_t mark = system_mark_();
  if (mark > ignored_) peak_ = std::max(peak_, mark);
  return peak_;
}

void PeakMemory::Resume() {
  std::ofstream("/proc/self/clear_refs") << "5";
  ignored_ = system_mark_();
}

}  // namespace kvasir::cli
