// What a record says of random queries and keys, against sums computed plainly in double.
#include "engine/attention_record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "base/rng.h"

namespace kvasir {
namespace {

constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kGroup = kHeads / kKvHeads;
constexpr int kHeadDim = 32;
constexpr int kRows = 150;

using kvcache::EvictionNeeds;

class AttentionRecordTest : public testing::Test {
 protected:
  AttentionRecordTest() {
    for (int i = 0; i < kHeadDim / 2; ++i) {
      traits_.ropes[0].frequencies.push_back(std::pow(10000.0, -2.0 * i / kHeadDim));
    }
    for (size_t i = 0; i < plain_.size(); ++i) {
      // A large constant part, as real queries have it.
      plain_[i] = static_cast<float>(2 * base::RandomUniform(1, i) - 1 + (i % kHeadDim == 3 ? 30 : 0));
    }
    rotated_ = plain_;
    const kernels::KernelTable& kernels = kernels::TableOf(kernels::ChosenIsa());
    const ops::RopeSpec rope = {traits_.ropes[0].frequencies, traits_.ropes[0].magnitude, traits_.ropes[0].neox};
    std::vector<float> cos(kHeadDim / 2), sin(kHeadDim / 2);
    for (int32_t row = 0; row < kRows; ++row) {
      ops::RopeTables(rope, {&row, 1}, cos.data(), sin.data());
      for (int h = 0; h < kHeads; ++h) kernels.rope(Query(row, h), cos.data(), sin.data(), kHeadDim, rope.neox);
    }
  }
  float* Query(int row, int head) { return rotated_.data() + (row * kHeads + head) * kHeadDim; }
  float Key(int head, int row, int d) const {
    const auto at = static_cast<uint64_t>((head * kRows + row) * kHeadDim + d);
    return static_cast<float>(base::RandomUniform(2, at) - 0.5);
  }

  // Runs rows [begin, end) of layer 0 in steps of `chunk`.
  void Run(AttentionRecord& record, kvcache::KvSequence& sequence, int end, int chunk) {
    const auto store = kernels::TableOf(kernels::ChosenIsa()).store_kv[0];
    while (sequence.length() < end) {
      const int begin = sequence.length();
      const int count = std::min(chunk, end - begin);
      ASSERT_TRUE(sequence.Extend(std::vector<int32_t>(static_cast<size_t>(count), 1)).has_value());
      const kvcache::KvView view = sequence.View();
      for (int layer = 0; layer < shape_.layers; ++layer) {
        for (int head = 0; head < kKvHeads; ++head) {
          for (int i = 0; i < count; ++i) {
            std::vector<float> key;
            for (int d = 0; d < kHeadDim; ++d) key.push_back(Key(head, begin + i, d));
            const kvcache::WriteSlot slot = view.slot(layer, head, i);
            store(slot.page, kHeadDim, slot.slot, key.data(), key.data());
          }
        }
      }
      std::vector<int32_t> positions;
      for (int i = 0; i < count; ++i) positions.push_back(begin + i);
      for (int layer = 0; layer < shape_.layers; ++layer) {
        record.OnRows({.kv = &view, .first_row = 0, .num_rows = count}, positions,
                      {.layer = layer,
                       .heads = kHeads,
                       .kv_heads = kKvHeads,
                       .head_dim = kHeadDim,
                       .scale = kScale,
                       .window = shape_.window(layer)},
                      Query(begin, 0));
      }
      EXPECT_TRUE(record.dirty());
      sequence.Commit();
      record.Commit();
      EXPECT_FALSE(record.dirty());
    }
  }
  kvcache::KvSequence NewSequence() {
    return kvcache::KvSequence::Create(*pool_, shape_, {.format = kernels::PageFormat::kF32, .recent = 10}).value();
  }
  AttentionRecord NewRecord(const EvictionNeeds& needs) { return {shape_, needs, traits_, threads_}; }

  static constexpr float kScale = 0.2F;
  const kvcache::KvShape shape_ = {.layers = 2, .kv_heads = kKvHeads, .head_dim = kHeadDim, .windows = {0, 16}};
  kvcache::AttentionTraits traits_ = {
      .heads = kHeads, .scale = kScale, .ropes = {{.magnitude = 1.5F, .neox = false}}, .rope_of_layer = {0, 0}};
  std::vector<float> plain_ = std::vector<float>(static_cast<size_t>(kRows) * kHeads * kHeadDim);
  std::vector<float> rotated_;
  std::unique_ptr<kvcache::PagePool> pool_ = kvcache::PagePool::Create(16 << 20).value();
  base::ThreadPool threads_{2};
};

std::vector<float> Copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

TEST_F(AttentionRecordTest, TheLastQueriesAreThoseOfTheLastRows) {
  for (const int chunk : {1, 7, 20, 100, 150}) {
    kvcache::KvSequence sequence = NewSequence();
    AttentionRecord record = NewRecord({.window_queries = 20});
    Run(record, sequence, kRows, chunk);
    const kvcache::HeadRecord read = record.Read(0, 1);
    ASSERT_EQ(read.query_positions.size(), 20u);
    ASSERT_EQ(read.queries.size(), 20u * kGroup * kHeadDim);
    for (int i = 0; i < 20; ++i) {
      const int row = kRows - 20 + i;
      EXPECT_EQ(read.query_positions[static_cast<size_t>(i)], row);
      for (int d = 0; d < kGroup * kHeadDim; ++d) {
        ASSERT_EQ(read.queries[static_cast<size_t>(i * kGroup * kHeadDim + d)], Query(row, kGroup)[d]) << chunk;
      }
    }
    EXPECT_TRUE(read.attention_mass.empty());
    EXPECT_TRUE(read.query_mean.empty());
    // Of the layer without a window alone.
    EXPECT_EQ(record.bytes(), 20u * (kHeads * kHeadDim * sizeof(float) + sizeof(int32_t)));
  }
}

TEST_F(AttentionRecordTest, MassIsTheSumOfAllAttention) {
  std::vector<double> expected(kRows);
  for (int row = 0; row < kRows; ++row) {
    for (int h = kGroup; h < 2 * kGroup; ++h) {  // of KV head 1
      std::vector<double> weights;
      double total = 0;
      for (int key = 0; key <= row; ++key) {
        double score = 0;
        for (int d = 0; d < kHeadDim; ++d) score += static_cast<double>(Query(row, h)[d]) * Key(1, key, d);
        weights.push_back(std::exp(kScale * score));
        total += weights.back();
      }
      for (size_t key = 0; key < weights.size(); ++key) expected[key] += weights[key] / total;
    }
  }
  std::vector<float> whole;
  for (const int chunk : {150, 1, 33}) {
    kvcache::KvSequence sequence = NewSequence();
    AttentionRecord record = NewRecord({.attention_mass = true});
    Run(record, sequence, kRows, chunk);
    const std::vector<float> mass = Copy(record.Read(0, 1).attention_mass);
    ASSERT_EQ(mass.size(), static_cast<size_t>(kRows));
    for (size_t i = 0; i < mass.size(); ++i) EXPECT_NEAR(mass[i], expected[i], 1e-4 * expected[i]);
    if (whole.empty()) whole = mass;
    EXPECT_EQ(mass, whole) << "steps of " << chunk;
  }
}

TEST_F(AttentionRecordTest, StatisticsAreThoseOfTheQueriesBeforeRope) {
  constexpr int kFirst = 4;  // the first rows are not counted
  std::vector<float> whole;
  for (const int chunk : {150, 1, 33}) {
    kvcache::KvSequence sequence = NewSequence();
    AttentionRecord record = NewRecord({.query_statistics = true});
    Run(record, sequence, kRows, chunk);
    const kvcache::HeadRecord read = record.Read(0, 1);
    for (int g = 0; g < kGroup; ++g) {
      const auto value = [&](int row, int d) {
        return static_cast<double>(plain_[static_cast<size_t>((row * kHeads + kGroup + g) * kHeadDim + d)]);
      };
      std::vector<double> mean(kHeadDim);
      for (int row = kFirst; row < kRows; ++row) {
        for (int d = 0; d < kHeadDim; ++d) mean[static_cast<size_t>(d)] += value(row, d) / (kRows - kFirst);
      }
      for (int i = 0; i < kHeadDim; ++i) {
        EXPECT_NEAR(read.query_mean[static_cast<size_t>(g * kHeadDim + i)], mean[static_cast<size_t>(i)], 1e-4);
        for (int j = 0; j < kHeadDim; ++j) {
          double covariance = 0;
          for (int row = kFirst; row < kRows; ++row) {
            covariance += (value(row, i) - mean[static_cast<size_t>(i)]) *
                          (value(row, j) - mean[static_cast<size_t>(j)]) / (kRows - kFirst);
          }
          EXPECT_NEAR(read.query_covariance[static_cast<size_t>((g * kHeadDim + i) * kHeadDim + j)], covariance, 1e-4);
        }
      }
    }
    const std::vector<float> covariance = Copy(read.query_covariance);
    if (whole.empty()) whole = covariance;
    EXPECT_EQ(covariance, whole) << "steps of " << chunk;
  }
}

TEST_F(AttentionRecordTest, MassFollowsTheTokensThatAreKept) {
  kvcache::KvSequence sequence = NewSequence();
  AttentionRecord record = NewRecord({.window_queries = 8, .attention_mass = true});
  Run(record, sequence, 140, 50);
  const std::vector<float> before = Copy(record.Read(0, 0).attention_mass);
  const std::vector<std::vector<int32_t>> kept = {{1, 5, 70}, {0, 127}};
  ASSERT_TRUE(sequence.Evict(0, 2, kept).has_value());
  record.Keep(0, std::vector<int>{128, 128}, kept);
  std::vector<float> expected = {before[1], before[5], before[70]};
  expected.insert(expected.end(), before.begin() + 128, before.end());
  EXPECT_EQ(Copy(record.Read(0, 0).attention_mass), expected);
  EXPECT_EQ(record.Read(0, 1).attention_mass.size(), 2u + 12u);
  // New rows add to what is left.
  Run(record, sequence, kRows, 1);
  EXPECT_EQ(record.Read(0, 0).attention_mass.size(), 3u + 22u);
  EXPECT_GT(record.Read(0, 0).attention_mass[0], before[1]);
  // A rewind forgets the later tokens and queries.
  ASSERT_TRUE(sequence.Truncate(145).has_value());
  record.Rewind(145, std::vector<int>{3 + 17, 2 + 17, 0, 0});
  EXPECT_EQ(record.Read(0, 0).attention_mass.size(), 3u + 17u);
  EXPECT_EQ(record.Read(0, 0).query_positions.back(), 144);
  EXPECT_EQ(record.Read(0, 0).queries.size(), record.Read(0, 0).query_positions.size() * kGroup * kHeadDim);
  record.Reset();
  EXPECT_TRUE(record.Read(0, 0).attention_mass.empty());
  EXPECT_TRUE(record.Read(0, 0).query_positions.empty());
}

// What admission sets aside is what a record becomes, in steps of any size.
TEST_F(AttentionRecordTest, TakesNoMoreThanIsSaid) {
  for (const EvictionNeeds& needs :
       {EvictionNeeds{.window_queries = 64}, EvictionNeeds{.query_statistics = true},
        EvictionNeeds{.attention_mass = true},
        EvictionNeeds{.window_queries = 1, .query_statistics = true, .attention_mass = true}}) {
    for (const int chunk : {1, 33, 150}) {
      kvcache::KvSequence sequence = NewSequence();
      AttentionRecord record = NewRecord(needs);
      const size_t most = AttentionRecord::MostBytes(shape_, needs, kHeads, kRows);
      for (int end = 10; end <= kRows; end += 70) {
        Run(record, sequence, end, chunk);
        EXPECT_LE(record.bytes(), most) << chunk;
      }
      EXPECT_GT(record.bytes(), most / 2);
      AttentionRecord fork = NewRecord(needs);
      fork.TakeOver(record);
      EXPECT_LE(fork.bytes(), most);
    }
  }
  EXPECT_EQ(AttentionRecord::MostBytes(shape_, {}, kHeads, kRows), 0u);
  EXPECT_EQ(AttentionRecord::MostBytes(shape_, {.query_statistics = true}, kHeads, kRows),
            kHeads * (2u * kHeadDim * kHeadDim + 3 * kHeadDim) * sizeof(float));
}

}  // namespace
}  // namespace kvasir
