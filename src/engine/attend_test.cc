// The attention operator over a real cache: the rooms ops and kvcache together.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "kvcache/kv_sequence.h"
#include "ops/operators.h"

namespace kvasir {
namespace {

using ops::AttentionSpec;
using ops::Batch;
using ops::Operators;
using ops::RopeSpec;
using ops::SequenceRows;

std::vector<float> RandomFloats(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(base::RandomUniform(seed, i) * 2 - 1);
  return values;
}

struct AttentionCase {
  int context;
  int rows;
  int window;
  float softcap;
};

class AttendTest : public testing::TestWithParam<AttentionCase> {};

// Attention over pages equals the definition, computed in double from the rotated keys.
TEST_P(AttendTest, EqualsTheDefinition) {
  const auto [context, rows, window, softcap] = GetParam();
  constexpr int kHeads = 6;
  constexpr int kKvHeads = 2;
  constexpr int kDim = 32;
  base::ThreadPool threads(2);
  const auto ops = std::move(Operators::Create(threads, {.max_rows = 64, .max_k = 256})).value();
  const auto pool = std::move(kvcache::PagePool::Create(64 << 20)).value();
  kvcache::KvOptions options{.format = kernels::PageFormat::kF32};
  auto sequence = std::move(kvcache::KvSequence::Create(*pool, {1, kKvHeads, kDim, {}}, options)).value();
  const RopeSpec still{.frequencies = std::vector<double>(kDim / 2, 0.0)};
  const AttentionSpec spec{.layer = 0,
                           .heads = kHeads,
                           .kv_heads = kKvHeads,
                           .head_dim = kDim,
                           .scale = 0.3F,
                           .window = window,
                           .softcap = softcap};

  std::vector<float> keys = RandomFloats(static_cast<size_t>(context) * kKvHeads * kDim, 11);
  const std::vector<float> values = RandomFloats(keys.size(), 12);
  std::vector<float> queries = RandomFloats(static_cast<size_t>(context) * kHeads * kDim, 13);
  std::vector<float> out(static_cast<size_t>(rows) * kHeads * kDim);
  for (int begin = 0; begin < context;) {
    const int count = std::min(context - begin, begin + rows < context ? std::min(64, context - rows - begin) : rows);
    const std::vector<int32_t> tokens(static_cast<size_t>(count), 1);
    ASSERT_TRUE(sequence.Extend(tokens).has_value());
    std::vector<int32_t> positions(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) positions[static_cast<size_t>(i)] = begin + i;
    const kvcache::KvView view = sequence.View();
    const SequenceRows sequence_rows{&view, 0, count};
    const Batch batch{.tokens = tokens, .positions = positions, .sequences = {&sequence_rows, 1}, .logit_rows = {}};
    ops->BeginStep(batch, {&still, 1});
    float* q = queries.data() + static_cast<size_t>(begin) * kHeads * kDim;
    ops->PrepareHeads(batch, spec, {}, q, keys.data() + static_cast<size_t>(begin) * kKvHeads * kDim,
                      values.data() + static_cast<size_t>(begin) * kKvHeads * kDim);
    if (begin + count == context) ops->Attend(batch, spec, q, out.data());
    sequence.Commit();
    begin += count;
  }

  for (int row = 0; row < rows; ++row) {
    const int position = context - rows + row;
    const int first = window == 0 ? 0 : std::max(0, position - window + 1);
    for (int h = 0; h < kHeads; ++h) {
      const int kv_head = h / (kHeads / kKvHeads);
      std::vector<double> want(kDim, 0.0);
      double sum = 0;
      for (int s = first; s <= position; ++s) {
        double score = 0;
        for (int d = 0; d < kDim; ++d) {
          score += static_cast<double>(queries[(static_cast<size_t>(position) * kHeads + h) * kDim + d]) *
                   keys[(static_cast<size_t>(s) * kKvHeads + kv_head) * kDim + d];
        }
        score *= static_cast<double>(spec.scale);
        if (softcap != 0) score = softcap * std::tanh(score / softcap);
        sum += std::exp(score);
        for (int d = 0; d < kDim; ++d) {
          want[static_cast<size_t>(d)] +=
              std::exp(score) * values[(static_cast<size_t>(s) * kKvHeads + kv_head) * kDim + d];
        }
      }
      for (int d = 0; d < kDim; ++d) {
        EXPECT_NEAR(out[(static_cast<size_t>(row) * kHeads + h) * kDim + d], want[static_cast<size_t>(d)] / sum, 2e-6)
            << "row " << row << " head " << h << " feature " << d;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttendTest,
                         testing::Values(AttentionCase{1, 1, 0, 0}, AttentionCase{64, 64, 0, 0},
                                         AttentionCase{300, 1, 0, 0}, AttentionCase{300, 5, 0, 0},
                                         AttentionCase{600, 33, 0, 0}, AttentionCase{600, 1, 100, 0},
                                         AttentionCase{600, 40, 70, 0}, AttentionCase{300, 20, 0, 2.0F}));

}  // namespace
}  // namespace kvasir
