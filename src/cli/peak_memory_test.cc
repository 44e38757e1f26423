#include "cli/peak_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace kvasir::cli {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(PeakMemory, WhatAMeasurementTookDoesNotCount) {
  size_t mark = 100;
  PeakMemory peak([&mark] { return mark; });
  EXPECT_EQ(peak.Read(), 100U);
  mark = 120;
  peak.Pause();
  mark = 400;  // the measurement, on a system that does not set its mark back
  peak.Resume();
  EXPECT_EQ(peak.Read(), 120U);
  mark = 401;
  EXPECT_EQ(peak.Read(), 401U);
}

TEST(PeakMemory, AMarkThatWasSetBackCountsAtOnce) {
  size_t mark = 120;
  PeakMemory peak([&mark] { return mark; });
  peak.Pause();
  mark = 90;  // measured, and set back to what is in use
  peak.Resume();
  EXPECT_EQ(peak.Read(), 120U);
  mark = 130;
  EXPECT_EQ(peak.Read(), 130U);
}

size_t SystemMark() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

TEST(PeakMemory, OnThisSystem) {
  PeakMemory peak(SystemMark);
  peak.Pause();
  const size_t before = peak.Read();
  {
    const std::vector<char> buffer(64 * kMiB, 1);
    EXPECT_GT(SystemMark(), before + 32 * kMiB + static_cast<size_t>(buffer.back()));
  }
  peak.Resume();
  EXPECT_LT(peak.Read(), before + 16 * kMiB);
}

}  // namespace
}  // namespace kvasir::cli
