#include "engine/peak_memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvasir {
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

TEST(PeakMemory, GapsMayOverlap) {
  size_t mark = 100;
  PeakMemory peak([&mark] { return mark; });
  peak.Pause();
  mark = 300;
  peak.Pause();
  peak.Resume();
  EXPECT_EQ(peak.Read(), 100U);
  mark = 90;
  peak.Resume();
  mark = 110;
  EXPECT_EQ(peak.Read(), 110U);
}

TEST(PeakMemory, OnThisSystem) {
  PeakMemory& peak = ProcessPeakMemory();
  {
    const std::vector<char> counted(16 * kMiB, 1);
    EXPECT_GT(peak.Read(), 16 * kMiB * static_cast<size_t>(counted.back()));
  }
  peak.Pause();
  const size_t before = peak.Read();
  {
    const std::vector<char> buffer(64 * kMiB, 1);
    EXPECT_LT(peak.Read(), before + kMiB * static_cast<size_t>(buffer.back()));
  }
  peak.Resume();
  EXPECT_LT(peak.Read(), before + 16 * kMiB);
}

}  // namespace
}  // namespace kvasir
