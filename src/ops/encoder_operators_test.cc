#include "ops/encoder_operators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace kvasir::ops {
namespace {

std::vector<float> Random(int64_t n, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(4 * base::RandomUniform(seed, i) - 2);
  return values;
}

// The definition: one pair of rows at a time, in double.
std::vector<float> Naive(const std::vector<TextRows>& texts, const EncoderAttention& a, const std::vector<float>& q,
                         const std::vector<float>& k, const std::vector<float>& v) {
  std::vector<float> out(q.size());
  const int64_t stride = int64_t{a.heads} * a.head_dim;
  for (const TextRows& text : texts) {
    for (int head = 0; head < a.heads; ++head) {
      const int64_t offset = text.first_row * stride + int64_t{head} * a.head_dim;
      for (int64_t row = 0; row < text.num_rows; ++row) {
        std::vector<double> weights;
        double sum = 0;
        for (int64_t other = 0; other < text.num_rows; ++other) {
          double score = 0;
          for (int64_t d = 0; d < a.head_dim; ++d) {
            score += double{q[static_cast<size_t>(offset + row * stride + d)]} *
                     k[static_cast<size_t>(offset + other * stride + d)];
          }
          weights.push_back(std::exp(score * a.scale));
          sum += weights.back();
        }
        for (int64_t d = 0; d < a.head_dim; ++d) {
          double value = 0;
          for (int64_t other = 0; other < text.num_rows; ++other) {
            value += weights[static_cast<size_t>(other)] / sum * v[static_cast<size_t>(offset + other * stride + d)];
          }
          out[static_cast<size_t>(offset + row * stride + d)] = static_cast<float>(value);
        }
      }
    }
  }
  return out;
}

struct Case {
  std::vector<TextRows> texts;
  int64_t rows = 0;
};

Case TextsOf(const std::vector<int64_t>& lengths) {
  Case c;
  for (const int64_t length : lengths) {
    c.texts.push_back({.first_row = c.rows, .num_rows = length});
    c.rows += length;
  }
  return c;
}

std::vector<float> Attend(int threads, const EncoderAttention& a, const Case& c, std::vector<float> q,
                          const std::vector<float>& k, const std::vector<float>& v) {
  base::ThreadPool pool(threads);
  const auto operators = EncoderOperators::Create(pool, 150, a);
  EXPECT_TRUE(operators);
  std::vector<float> out(q.size(), 99.0F);
  (*operators)->Attend(c.texts, q.data(), k.data(), v.data(), out.data());
  return out;
}

TEST(EncoderOperators, AttendIsTheDefinition) {
  for (const int head_dim : {16, 32, 64, 80}) {
    const EncoderAttention a{.heads = 3, .head_dim = head_dim, .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
    const Case c = TextsOf({1, 2, 15, 16, 17, 64, 65, 150});
    const int64_t n = c.rows * a.heads * head_dim;
    const auto q = Random(n, 1);
    const auto k = Random(n, 2);
    const auto v = Random(n, 3);
    const auto actual = Attend(2, a, c, q, k, v);
    const auto expected = Naive(c.texts, a, q, k, v);
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 2e-5) << i << " of D " << head_dim;
  }
}

TEST(EncoderOperators, ATextDoesNotDependOnTheOthersOrOnThreads) {
  const EncoderAttention a{.heads = 2, .head_dim = 32, .scale = 0.2F};
  const Case together = TextsOf({33, 7, 100, 1});
  const int64_t stride = int64_t{a.heads} * a.head_dim;
  const auto q = Random(together.rows * stride, 1);
  const auto k = Random(together.rows * stride, 2);
  const auto v = Random(together.rows * stride, 3);
  const auto expected = Attend(1, a, together, q, k, v);
  EXPECT_EQ(Attend(3, a, together, q, k, v), expected);
  const TextRows& text = together.texts[2];
  const auto part = [&](const std::vector<float>& all) {
    const auto begin = all.begin() + text.first_row * stride;
    return std::vector<float>(begin, begin + text.num_rows * stride);
  };
  EXPECT_EQ(Attend(2, a, TextsOf({100}), part(q), part(k), part(v)), part(expected));
}

TEST(EncoderOperators, RowsAreNormedAndGatedOneByOne) {
  base::ThreadPool pool(3);
  const auto operators = EncoderOperators::Create(pool, 1, {.heads = 1, .head_dim = 16});
  ASSERT_TRUE(operators);
  constexpr int64_t kRows = 301;
  constexpr int64_t kFeatures = 48;
  const auto weight = Random(kFeatures, 5);
  const auto bias = Random(kFeatures, 6);
  std::vector<float> x = Random(kRows * kFeatures, 4);
  const std::vector<float> before = x;
  (*operators)->LayerNorm(x.data(), kRows, weight, bias, 1e-5F);
  for (int64_t row = 0; row < kRows; ++row) {
    double mean = 0;
    double squares = 0;
    for (int64_t i = 0; i < kFeatures; ++i) mean += before[static_cast<size_t>(row * kFeatures + i)] / 48.0;
    for (int64_t i = 0; i < kFeatures; ++i) {
      squares += std::pow(before[static_cast<size_t>(row * kFeatures + i)] - mean, 2) / 48.0;
    }
    for (int64_t i = 0; i < kFeatures; ++i) {
      const auto at = static_cast<size_t>(row * kFeatures + i);
      const double expected = (before[at] - mean) / std::sqrt(squares + 1e-5) * weight[static_cast<size_t>(i)] +
                              bias[static_cast<size_t>(i)];
      ASSERT_NEAR(x[at], expected, 1e-5) << row << ", " << i;
    }
  }
  std::vector<float> gated = before;
  (*operators)->Gelu(gated.data(), kRows, kFeatures);
  for (size_t i = 0; i < gated.size(); ++i) {
    ASSERT_NEAR(gated[i], 0.5 * before[i] * (1 + std::erf(before[i] / std::sqrt(2.0))), 1e-6) << i;
  }
  EXPECT_GT((*operators)->workspace_bytes(), 0u);
}

}  // namespace
}  // namespace kvasir::ops
