#include "kvcache/block_rotation.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

namespace kvasir::kvcache {
namespace {

constexpr int kColumns = 3;

std::vector<float> Random(int head_dim) {
  std::mt19937 engine(static_cast<uint32_t>(head_dim));
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(head_dim) * kColumns);
  for (float& each : x) each = normal(engine);
  return x;
}

TEST(BlockRotationTest, IsTheProductWithSylvestersMatrix) {
  for (const int head_dim : {16, 32, 80, 128}) {
    const std::vector<float> x = Random(head_dim);
    std::vector<float> rotated = x;
    RotateBlocks<kColumns>(head_dim, rotated.data());
    for (int d = 0; d < head_dim; ++d) {
      const int first = d / 32 * 32;
      for (int column = 0; column < kColumns; ++column) {
        double expected = 0;
        for (int j = first; j < std::min(first + 32, head_dim); ++j) {
          const auto both = static_cast<unsigned>((d - first) & (j - first));
          expected += (std::popcount(both) % 2 == 1 ? -1 : 1) * x[static_cast<size_t>(j * kColumns + column)];
        }
        ASSERT_NEAR(rotated[static_cast<size_t>(d * kColumns + column)], expected, 1e-5) << "D " << head_dim;
      }
    }
  }
}

TEST(BlockRotationTest, IsUndone) {
  for (const int head_dim : {16, 32, 80, 128}) {
    const std::vector<float> x = Random(head_dim);
    std::vector<float> back = x;
    RotateBlocks<kColumns>(head_dim, back.data());
    RotateBlocksBack<kColumns>(head_dim, back.data());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(back[i], x[i], 1e-6) << "D " << head_dim;
  }
}

}  // namespace
}  // namespace kvasir::kvcache
