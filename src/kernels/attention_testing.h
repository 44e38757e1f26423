// Queries and answers for the tests of attention.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {

inline constexpr Isa kAllIsas[] = {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni};

/// Rows q [R, D] at their positions.
struct Query {
  int head_dim;
  std::vector<int32_t> positions;
  std::vector<float> q;
  int window = 0;
  float softcap = 0;

  [[nodiscard]] Query First(int rows) const {
    Query query = *this;
    query.positions.resize(rows);
    query.q.resize(static_cast<size_t>(rows) * head_dim);
    return query;
  }
  [[nodiscard]] Query Only(int row) const {
    Query query = *this;
    query.positions = {positions[row]};
    query.q.assign(q.begin() + row * head_dim, q.begin() + (row + 1) * head_dim);
    return query;
  }
};

struct Answer {
  std::vector<float> out;  // [R, D]
  std::vector<float> lse;  // [R]

  [[nodiscard]] Answer Only(int row) const {
    const auto head_dim = static_cast<std::ptrdiff_t>(out.size() / lse.size());
    return {{out.begin() + row * head_dim, out.begin() + (row + 1) * head_dim}, {lse[row]}};
  }
};

/// What `attend`, called with AttendArgs, makes of a query over `pages`.
Answer AnswerOf(const Query& query, const std::vector<PageRef>& pages, const auto& attend) {
  const int rows = static_cast<int>(query.positions.size());
  AlignedBytes scratch(kAttendScratchBytes);
  // Wrong on purpose: every element has to be written.
  Answer answer{std::vector<float>(query.q.size(), 777.0F), std::vector<float>(rows, 777.0F)};
  attend(AttendArgs{.q = query.q.data(),
                    .row_positions = query.positions.data(),
                    .rows = rows,
                    .head_dim = query.head_dim,
                    .window = query.window,
                    .softcap = query.softcap,
                    .pages = pages.data(),
                    .num_pages = static_cast<int>(pages.size()),
                    .out = answer.out.data(),
                    .lse = answer.lse.data(),
                    .scratch = scratch.data()});
  return answer;
}

/// `actual` may be of the first rows only. An lse may be off by `tolerance` and `lse_relative` of itself.
inline void ExpectNear(const Answer& actual, const Answer& expected, float tolerance, float lse_relative = 0) {
  constexpr float kNothingSeen = -std::numeric_limits<float>::infinity();
  ASSERT_LE(actual.lse.size(), expected.lse.size());
  ASSERT_LE(actual.out.size(), expected.out.size());
  for (size_t r = 0; r < actual.lse.size(); ++r) {
    if (expected.lse[r] == kNothingSeen) {
      ASSERT_EQ(actual.lse[r], kNothingSeen) << "row " << r;
    } else {
      ASSERT_NEAR(actual.lse[r], expected.lse[r], tolerance + lse_relative * std::abs(expected.lse[r])) << "row " << r;
    }
  }
  for (size_t i = 0; i < actual.out.size(); ++i) {
    ASSERT_NEAR(actual.out[i], expected.out[i], tolerance) << "element " << i;
  }
}

inline void ExpectSameBits(const Answer& actual, const Answer& expected) {
  ASSERT_EQ(actual.out.size(), expected.out.size());
  ASSERT_EQ(actual.lse.size(), expected.lse.size());
  for (size_t i = 0; i < expected.out.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(actual.out[i]), std::bit_cast<uint32_t>(expected.out[i])) << "element " << i;
  }
  for (size_t i = 0; i < expected.lse.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(actual.lse[i]), std::bit_cast<uint32_t>(expected.lse[i])) << "row " << i;
  }
}

}  // namespace kvasir::kernels
