// Each policy's scores against its definition, computed plainly in double.
#include "kvcache/eviction_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "kvcache/evict_snapkv.h"
#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {
namespace {

using testing::HasSubstr;
using Numbers = std::vector<double>;

constexpr int kHeadDim = 32;
constexpr int kGroup = 3;
constexpr int kTokens = 150;
constexpr int kCandidates = 101;
constexpr int kLength = 400;

std::vector<float> Random(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(2 * base::RandomUniform(seed, i) - 1);
  return values;
}

// Two heads of a layer that hold every second or third token, and what was recorded of them.
struct TestHead {
  explicit TestHead(int kv_head, int queries = 70) {
    const auto seed = static_cast<uint64_t>(10 * kv_head + 1);
    for (int i = 0; i < kTokens; ++i) positions.push_back(kLength - 1 - (kTokens - 1 - i) * 2);
    keys = Random(kTokens * kHeadDim, seed);
    values = Random(kTokens * kHeadDim, seed + 1);
    mass = Random(kTokens, seed + 2);
    this->queries = Random(static_cast<size_t>(queries) * kGroup * kHeadDim, seed + 3);
    for (int i = 0; i < queries; ++i) query_positions.push_back(kLength - queries + i);
    mean = Random(kGroup * kHeadDim, seed + 4);
    // A covariance: a random matrix times itself.
    covariance.resize(static_cast<size_t>(kGroup) * kHeadDim * kHeadDim);
    for (int g = 0; g < kGroup; ++g) {
      const std::vector<float> root = Random(kHeadDim * kHeadDim, seed + 5 + static_cast<uint64_t>(g));
      for (int i = 0; i < kHeadDim; ++i) {
        for (int j = 0; j < kHeadDim; ++j) {
          float sum = 0;
          for (int k = 0; k < kHeadDim; ++k) sum += root[i * kHeadDim + k] * root[j * kHeadDim + k];
          covariance[static_cast<size_t>((g * kHeadDim + i) * kHeadDim + j)] = sum / kHeadDim;
        }
      }
    }
    rope = {.frequencies = {}, .magnitude = 1.25F, .neox = true};
    for (int i = 0; i < kHeadDim / 2; ++i) rope.frequencies.push_back(std::pow(10000.0, -2.0 * i / kHeadDim));
    evidence = {.layer = 2,
                .kv_head = kv_head,
                .head_dim = kHeadDim,
                .group = kGroup,
                .scale = 0.5F,
                .length = kLength,
                .candidates = kCandidates,
                .positions = positions,
                .keys = keys,
                .values = values,
                .queries = this->queries,
                .query_positions = query_positions,
                .attention_mass = mass,
                .query_mean = mean,
                .query_covariance = covariance,
                .rope = &rope};
  }
  TestHead(const TestHead&) = delete;
  TestHead& operator=(const TestHead&) = delete;

  [[nodiscard]] double Product(const float* query, int token) const {
    double sum = 0;
    for (int d = 0; d < kHeadDim; ++d) sum += static_cast<double>(query[d]) * keys[token * kHeadDim + d];
    return sum;
  }
  // The attention weights of query head g at recorded row `row`, over all tokens.
  [[nodiscard]] Numbers Attention(size_t row, int g) const {
    const float* query = queries.data() + (row * kGroup + static_cast<size_t>(g)) * kHeadDim;
    Numbers weights(kTokens);
    double total = 0;
    for (int i = 0; i < kTokens; ++i) {
      if (positions[static_cast<size_t>(i)] > query_positions[row]) continue;
      double score = evidence.scale * Product(query, i);
      if (evidence.softcap > 0) score = evidence.softcap * std::tanh(score / evidence.softcap);
      total += weights[static_cast<size_t>(i)] = std::exp(score);
    }
    for (double& weight : weights) weight /= total;
    return weights;
  }
  [[nodiscard]] Numbers MeanOfRows(size_t first) const {
    Numbers mean_weights(kTokens);
    const size_t rows = query_positions.size() - first;
    for (size_t row = first; row < query_positions.size(); ++row) {
      for (int g = 0; g < kGroup; ++g) {
        const Numbers weights = Attention(row, g);
        for (size_t i = 0; i < weights.size(); ++i) {
          mean_weights[i] += weights[i] / static_cast<double>(rows * kGroup);
        }
      }
    }
    return mean_weights;
  }

  std::vector<int32_t> positions, query_positions;
  std::vector<float> keys, values, mass, queries, mean, covariance;
  KeyRope rope;
  HeadEvidence evidence;
};

std::vector<float> Scores(const EvictionPolicy& policy, const TestHead& head) {
  std::vector<float> scores(kCandidates);
  policy.Score(head.evidence, scores);
  return scores;
}

void ExpectClose(const std::vector<float>& scores, const Numbers& expected, double relative = 2e-5) {
  ASSERT_LE(scores.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < scores.size(); ++i) largest = std::max(largest, std::abs(expected[i]));
  for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(scores[i], expected[i], relative * largest) << "token " << i;
}

TEST(EvictionPolicyTest, StreamingAndRecentKeepTheLatest) {
  const TestHead head(0);
  for (const EvictionPolicy* policy : {&StreamingEviction(), &RecentEviction()}) {
    const std::vector<float> scores = Scores(*policy, head);
    EXPECT_TRUE(std::ranges::is_sorted(scores));
    EXPECT_LT(scores.front(), scores.back());
  }
  EXPECT_EQ(StreamingEviction().sinks(), 4);
  EXPECT_EQ(RecentEviction().sinks(), 0);
  for (const EvictionPolicy* policy : EvictionPolicies()) {
    EXPECT_EQ(policy->renumbers(), policy == &StreamingEviction()) << policy->name();
  }
}

TEST(EvictionPolicyTest, RandomIsEvenAndTheSameEveryTime) {
  const TestHead head(0);
  const std::vector<float> scores = Scores(RandomEviction(), head);
  EXPECT_EQ(scores, Scores(RandomEviction(), head));
  EXPECT_NE(scores, Scores(RandomEviction(), TestHead(1)));
  EXPECT_NEAR(std::accumulate(scores.begin(), scores.end(), 0.0) / kCandidates, 0.5, 0.1);
  // A token's score does not depend on what else is held.
  TestHead fewer(0);
  fewer.evidence.positions = fewer.evidence.positions.subspan(10);
  std::vector<float> later(kCandidates - 10);
  RandomEviction().Score(fewer.evidence, later);
  EXPECT_EQ(later, std::vector<float>(scores.begin() + 10, scores.end()));
  TestHead other(0);
  other.evidence.seed = 2;
  EXPECT_NE(Scores(RandomEviction(), other), scores);
  for (const EvictionPolicy* policy : EvictionPolicies()) {
    EXPECT_EQ(policy->draws(), Scores(*policy, other) != Scores(*policy, head)) << policy->name();
  }
}

TEST(EvictionPolicyTest, H2oTakesTheMass) {
  const TestHead head(0);
  ExpectClose(Scores(H2oEviction(), head), Numbers(head.mass.begin(), head.mass.end()), 0);
  EXPECT_EQ(H2oEviction().Recent(1000), 500);
  EXPECT_EQ(H2oEviction().Recent(10), 64);
  EXPECT_TRUE(H2oEviction().needs().sums());
}

TEST(EvictionPolicyTest, TovaAveragesTheLastRowOverAllHeadsOfTheLayer) {
  const TestHead a(0), b(1);
  std::vector<std::vector<float>> scores = {Scores(TovaEviction(), a), Scores(TovaEviction(), b)};
  const size_t last = a.query_positions.size() - 1;
  const Numbers one = a.MeanOfRows(last);
  const Numbers two = b.MeanOfRows(last);
  ExpectClose(scores[0], one);
  TovaEviction().Agree(scores);
  Numbers mean(one.size());
  for (size_t i = 0; i < mean.size(); ++i) mean[i] = (one[i] + two[i]) / 2;
  ExpectClose(scores[0], mean);
  EXPECT_EQ(scores[0], scores[1]);
}

TEST(EvictionPolicyTest, SnapKvPoolsTheAttentionOfTheWindow) {
  for (const float softcap : {0.0F, 2.0F}) {
    TestHead head(0);
    head.evidence.softcap = softcap;
    Numbers attention = head.MeanOfRows(0);
    attention.resize(kCandidates);
    Numbers pooled(kCandidates);
    for (int i = 0; i < kCandidates; ++i) {
      for (int j = std::max(0, i - 2); j <= std::min(kCandidates - 1, i + 2); ++j) {
        pooled[static_cast<size_t>(i)] += attention[static_cast<size_t>(j)] / 5;
      }
    }
    ExpectClose(Scores(SnapKvEviction(), head), pooled);
    EXPECT_EQ(Scores(AdaKvEviction(), head), Scores(SnapKvEviction(), head));
    EXPECT_EQ(Scores(PyramidKvEviction(), head), Scores(SnapKvEviction(), head));
  }
}

TEST(EvictionPolicyTest, QueriesDoNotSeeWhatCameLater) {
  TestHead head(0, 1);
  head.query_positions[0] = head.positions[50];
  const std::vector<float> scores = Scores(TovaEviction(), head);
  ExpectClose(scores, head.Attention(0, 0), 1e9);  // finite
  for (size_t i = 0; i < scores.size(); ++i) EXPECT_EQ(scores[i] > 0, i <= 50) << i;
}

TEST(EvictionPolicyTest, PyramidDividesTheBudgetOverLayers) {
  const EvictionPolicy& policy = PyramidKvEviction();
  constexpr int kLayers = 30;
  int64_t sum = 0;
  std::vector<int> budgets;
  for (int layer = 0; layer < kLayers; ++layer) {
    budgets.push_back(policy.LayerBudget(1024, 8000, layer, kLayers));
    sum += budgets.back();
  }
  EXPECT_NEAR(static_cast<double>(sum), 1024.0 * kLayers, kLayers);
  EXPECT_EQ(budgets.back(), 64 + 960 / 20);
  EXPECT_EQ(budgets.front(), 64 + 2 * 960 - 960 / 20);
  EXPECT_TRUE(std::ranges::is_sorted(budgets, std::greater()));
  // Layer 0 cannot hold more than there is: then the slope is flatter, and the sum the same.
  EXPECT_EQ(policy.LayerBudget(1024, 1500, 0, kLayers), 1500);
  EXPECT_EQ(policy.LayerBudget(1024, 1500, kLayers - 1, kLayers), 2 * 1024 - 1500);
  EXPECT_EQ(policy.LayerBudget(64, 1500, 3, kLayers), 64);
}

TEST(EvictionPolicyTest, AdaKvGivesMoreToHeadsThatLookAtMore) {
  std::vector<std::vector<float>> heads = {std::vector<float>(100, 0.1F), std::vector<float>(100, 0.001F)};
  for (size_t i = 0; i < 5; ++i) heads[1][i] = 10;  // five tokens and nothing else
  const std::vector<int> counts = AdaKvEviction().DivideHeads(heads, 40);
  EXPECT_EQ(counts, (std::vector<int>{72, 8}));  // 8 = the floor of 20 %
  EXPECT_EQ(SnapKvEviction().DivideHeads(heads, 40), (std::vector<int>{40, 40}));
  // Never more than there is.
  EXPECT_EQ(AdaKvEviction().DivideHeads(std::vector<std::vector<float>>{{1, 2}, {3}}, 40), (std::vector<int>{2, 1}));
}

TEST(EvictionPolicyTest, KeyNormPrefersShortKeys) {
  const TestHead head(0);
  Numbers expected;
  for (int i = 0; i < kTokens; ++i) expected.push_back(-std::sqrt(head.Product(head.keys.data() + i * kHeadDim, i)));
  ExpectClose(Scores(KeyNormEviction(), head), expected);
}

TEST(EvictionPolicyTest, KeyDiffPrefersKeysThatStandApart) {
  const TestHead head(0);
  Numbers anchor(kHeadDim);
  Numbers norms;
  for (int i = 0; i < kTokens; ++i) {
    norms.push_back(std::sqrt(head.Product(head.keys.data() + i * kHeadDim, i)));
    for (int d = 0; d < kHeadDim; ++d) anchor[static_cast<size_t>(d)] += head.keys[i * kHeadDim + d] / norms.back();
  }
  const double anchor_norm = std::sqrt(std::inner_product(anchor.begin(), anchor.end(), anchor.begin(), 0.0));
  Numbers expected;
  for (int i = 0; i < kTokens; ++i) {
    double product = 0;
    for (int d = 0; d < kHeadDim; ++d) product += anchor[static_cast<size_t>(d)] * head.keys[i * kHeadDim + d];
    expected.push_back(-product / (anchor_norm * norms[static_cast<size_t>(i)]));
  }
  ExpectClose(Scores(KeyDiffEviction(), head), expected, 1e-4);
}

// They would take most of the attention, and stay in any case.
TEST(EvictionPolicyTest, ExpectedAttentionLeavesTheFirstTokensOut) {
  TestHead head(0);
  for (int i = 0; i < kTokens; ++i) head.positions[static_cast<size_t>(i)] = i;
  for (int i = 0; i < 4 * kHeadDim; ++i) head.keys[static_cast<size_t>(i)] *= 5;
  const std::vector<float> with = Scores(ExpectedEviction(), head);
  EXPECT_EQ(with[3], 0);
  HeadEvidence rest = head.evidence;
  rest.candidates -= 4;
  rest.positions = rest.positions.subspan(4);
  rest.keys = rest.keys.subspan(4 * kHeadDim);
  rest.values = rest.values.subspan(4 * kHeadDim);
  std::vector<float> without(static_cast<size_t>(rest.candidates));
  ExpectedEviction().Score(rest, without);
  ExpectClose({with.begin() + 4, with.end()}, Numbers(without.begin(), without.end()));
  EXPECT_GT(*std::ranges::max_element(without), 0);
}

// The definition: every one of the next 512 positions has a rotation of its own, and the mean of these matrices acts.
TEST(EvictionPolicyTest, ExpectedAttentionIsThatOfNormalQueries) {
  const TestHead head(0);
  constexpr int kHalf = kHeadDim / 2;
  Numbers cos(kHalf), sin(kHalf);
  for (int t = 0; t < 512; ++t) {
    for (size_t i = 0; i < kHalf; ++i) {
      const double angle = (kLength + t) * head.rope.frequencies[i];
      cos[i] += head.rope.magnitude * std::cos(angle) / 512;
      sin[i] += head.rope.magnitude * std::sin(angle) / 512;
    }
  }
  const auto rotate = [&](const Numbers& x) {  // R x, pairs (i, i + half)
    Numbers y(kHeadDim);
    for (size_t i = 0; i < kHalf; ++i) {
      y[i] = cos[i] * x[i] - sin[i] * x[i + kHalf];
      y[i + kHalf] = sin[i] * x[i] + cos[i] * x[i + kHalf];
    }
    return y;
  };
  Numbers expected(kTokens);
  for (int g = 0; g < kGroup; ++g) {
    const auto mean = head.mean.begin() + g * kHeadDim;
    const Numbers mu = rotate(Numbers(mean, mean + kHeadDim));
    // R S R^T: the columns of S turned, then the rows.
    std::vector<Numbers> columns, turned(kHeadDim, Numbers(kHeadDim));
    for (int j = 0; j < kHeadDim; ++j) {
      Numbers column;
      for (int i = 0; i < kHeadDim; ++i) column.push_back(head.covariance[(g * kHeadDim + i) * kHeadDim + j]);
      columns.push_back(rotate(column));
    }
    for (size_t i = 0; i < kHeadDim; ++i) {
      Numbers row;
      for (size_t j = 0; j < kHeadDim; ++j) row.push_back(columns[j][i]);
      turned[i] = rotate(row);
    }
    Numbers weights;
    double total = 0;
    for (int token = 0; token < kTokens; ++token) {
      double first = 0, second = 0;
      for (size_t i = 0; i < kHeadDim; ++i) {
        const double key = head.keys[static_cast<size_t>(token) * kHeadDim + i];
        first += mu[i] * key;
        for (size_t j = 0; j < kHeadDim; ++j) {
          second += key * turned[i][j] * head.keys[static_cast<size_t>(token) * kHeadDim + j];
        }
      }
      weights.push_back(std::exp(0.5 * first + 0.5 * 0.5 * second / 2));
      total += weights.back();
    }
    for (size_t i = 0; i < kTokens; ++i) expected[i] += weights[i] / total / kGroup;
  }
  for (size_t i = 0; i < kTokens; ++i) {
    double square = 0;
    for (size_t d = 0; d < kHeadDim; ++d) square += std::pow(head.values[i * kHeadDim + d], 2);
    expected[i] *= std::sqrt(square);
  }
  ExpectClose(Scores(ExpectedEviction(), head), expected, 1e-4);
}

TEST(EvictionPolicyTest, NamesAreFoundAndListed) {
  for (const EvictionPolicy* policy : EvictionPolicies()) {
    EXPECT_EQ(FindEvictionPolicy(policy->name()).value(), policy);  // so no two have one name
    EXPECT_FALSE(policy->about().empty());
  }
  EXPECT_THAT(FindEvictionPolicy("lru").error().message,
              HasSubstr("no eviction policy is called 'lru': there are streaming, recent, random, h2o"));
}

}  // namespace
}  // namespace kvasir::kvcache
