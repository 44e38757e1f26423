#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {
namespace {

constexpr Isa kIsas[] = {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni};

TEST(DispatchTest, TheBestInstructionSetIsSupportedAndNoneBehindItIs) {
  const Isa best = BestIsa();
  EXPECT_TRUE(IsaSupported(best));
  for (const Isa isa : kIsas) {
    if (isa > best) {
      EXPECT_FALSE(IsaSupported(isa)) << IsaName(isa);
    }
  }
  EXPECT_TRUE(IsaSupported(Isa::kRef));
}

TEST(DispatchTest, EveryTableIsCompleteAndKnowsItsName) {
  for (const Isa isa : kIsas) {
    if (!IsaSupported(isa)) {
      std::printf("skipped: this machine cannot run %s\n", IsaName(isa));
      continue;
    }
    const KernelTable& table = TableOf(isa);
    EXPECT_EQ(table.isa, isa);
    EXPECT_STREQ(table.name, IsaName(isa));
    // After isa and name, the table holds nothing but function pointers.
    constexpr size_t kFirst = offsetof(KernelTable, matmul_quantized);
    void* functions[(sizeof(KernelTable) - kFirst) / sizeof(void*)];
    std::memcpy(functions, reinterpret_cast<const char*>(&table) + kFirst, sizeof functions);
    for (const void* function : functions) EXPECT_NE(function, nullptr) << table.name;
  }
}

TEST(DispatchTest, NamesAreFound) {
  for (const Isa isa : kIsas) {
    Isa found = Isa::kRef;
    EXPECT_TRUE(IsaFromName(IsaName(isa), &found));
    EXPECT_EQ(found, isa);
  }
  Isa untouched = Isa::kAvx2;
  EXPECT_FALSE(IsaFromName("sse9", &untouched));
  EXPECT_EQ(untouched, Isa::kAvx2);
}

TEST(LimitsTest, ReadStreamSumsEveryWord) {
  AlignedBytes data(4096 * 3);
  TestRandom random(1);
  uint64_t expected = 0;
  for (size_t i = 0; i < data.size(); i += 8) {
    const uint64_t word = static_cast<uint64_t>(random.Next()) << 32 | random.Next();
    std::memcpy(data.data() + i, &word, 8);
    expected += word;
  }
  for (const Isa isa : kIsas) {
    if (!IsaSupported(isa)) continue;
    EXPECT_EQ(TableOf(isa).read_stream(data.data(), data.size()), expected) << IsaName(isa);
  }
}

TEST(LimitsTest, PeaksCountTheirOperations) {
  for (const Isa isa : kIsas) {
    if (!IsaSupported(isa)) continue;
    int64_t once = 0;
    int64_t twice = 0;
    EXPECT_TRUE(std::isfinite(TableOf(isa).fma_peak(100, &once)));
    TableOf(isa).fma_peak(200, &twice);
    EXPECT_EQ(twice, 2 * once);
    EXPECT_GE(once, 100 * 2 * 12) << "at least twelve chains";
    TableOf(isa).int8_peak(100, &once);
    TableOf(isa).int8_peak(200, &twice);
    EXPECT_EQ(twice, 2 * once);
    EXPECT_GE(once, 100 * 2 * 12);
  }
}

}  // namespace
}  // namespace kvasir::kernels
