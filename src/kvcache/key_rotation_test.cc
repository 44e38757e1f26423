#include "kvcache/key_rotation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>

namespace kvasir::kvcache {
namespace {

constexpr int kDim = 48;  // of which 32 are rotated

KeyRope Rope(bool neox) {
  KeyRope rope{.magnitude = 1.25f, .neox = neox};
  for (int i = 0; i < 16; ++i) rope.frequencies.push_back(std::pow(10000.0, -i / 16.0));
  return rope;
}

// A head [D] before RoPE, pairs as neighbours, at `position` as the model has it.
std::vector<float> AtPosition(const KeyRope& rope, const std::vector<float>& x, int position) {
  std::vector<float> out = x;
  for (size_t i = 0; i < rope.frequencies.size(); ++i) {
    const double angle = position * rope.frequencies[i];
    const size_t first = rope.neox ? i : 2 * i;
    const size_t second = rope.neox ? i + 16 : 2 * i + 1;
    out[first] = static_cast<float>(rope.magnitude * (x[2 * i] * std::cos(angle) - x[2 * i + 1] * std::sin(angle)));
    out[second] = static_cast<float>(rope.magnitude * (x[2 * i + 1] * std::cos(angle) + x[2 * i] * std::sin(angle)));
  }
  return out;
}

// Pairs that turn by more than a tenth of a radian in half a page; the others are stored with their slot's angle.
constexpr size_t kTurnedPairs = 11;
static_assert(kDim > 2 * kTurnedPairs);

// What is stored of the key that is x [D] before RoPE at `slot` of a page.
std::vector<float> Stored(const KeyRope& rope, const std::vector<float>& x, int slot) {
  std::vector<float> out = x;
  for (size_t i = kTurnedPairs; i < rope.frequencies.size(); ++i) {
    const double angle = (slot - 32) * rope.frequencies[i];
    out[2 * i] = static_cast<float>(rope.magnitude * (x[2 * i] * std::cos(angle) - x[2 * i + 1] * std::sin(angle)));
    out[2 * i + 1] = static_cast<float>(rope.magnitude * (x[2 * i + 1] * std::cos(angle) + x[2 * i] * std::sin(angle)));
  }
  return out;
}

class KeyRotationTest : public testing::TestWithParam<bool> {
 protected:
  std::vector<float> Random(size_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> x(n);
    for (float& each : x) each = normal(random_);
    return x;
  }
  std::mt19937 random_{7};
};

INSTANTIATE_TEST_SUITE_P(Pairs, KeyRotationTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Neox" : "Neighbours"; });

TEST_P(KeyRotationTest, TurnsKeysBackAndForth) {
  const KeyRope rope = Rope(GetParam());
  const KeyRotation rotation(rope, 4096);
  for (const int first : {0, 64, 1984, 4096}) {
    std::vector<float> keys, stored;
    for (int slot = 0; slot < kernels::kPageTokens; ++slot) {
      const std::vector<float> x = Random(kDim);
      std::ranges::copy(AtPosition(rope, x, first + slot), std::back_inserter(keys));
      std::ranges::copy(Stored(rope, x, slot), std::back_inserter(stored));
    }
    std::vector<float> turned(keys.size()), again(keys.size());
    rotation.TurnBack(first, kDim, keys, turned);
    rotation.Turn(first, kDim, stored, again);
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_NEAR(turned[i], stored[i], 2e-6f) << first << " " << i;
      ASSERT_NEAR(again[i], keys[i], 2e-6f) << first << " " << i;
    }
  }
}

TEST_P(KeyRotationTest, PairsThatStandStillWithinAPageNeedNotBeTurned) {
  const KeyRotation rotation(Rope(GetParam()), 4096);
  const kernels::CompactRope rope = rotation.ForKernels();
  ASSERT_EQ(rope.turned_pairs, static_cast<int>(kTurnedPairs));
  for (int i = 0; i < rope.n_rot / 2; ++i) {
    for (int slot = 0; slot < kernels::kPageTokens; ++slot) {
      const int at = i * kernels::kPageTokens + slot;
      const bool still = rope.slot_cos[at] == 1 && rope.slot_sin[at] == 0;
      if (slot == 32) continue;  // the middle
      ASSERT_EQ(still, i >= rope.turned_pairs) << i << " " << slot;
    }
  }
}

TEST_P(KeyRotationTest, AQueryTurnedBackMeetsKeysTurnedBackByAsMuch) {
  const KeyRope rope = Rope(GetParam());
  const KeyRotation rotation(rope, 4096);
  const std::vector<float> query = AtPosition(rope, Random(kDim), 1000);
  const std::vector<float> key = Random(kDim);  // before RoPE
  std::vector<float> turned(kDim);
  rotation.TurnBackQuery(512, query, turned);
  const std::vector<float> at = AtPosition(rope, key, 512 + 32);  // the middle of the page
  double expected = 0, score = 0;
  for (size_t i = 0; i < kDim; ++i) {
    expected += query[i] * at[i];
    score += turned[i] * key[i] * (i < 32 ? rope.magnitude : 1.0f);
  }
  EXPECT_NEAR(score, expected, 1e-4);
}

}  // namespace
}  // namespace kvasir::kvcache
