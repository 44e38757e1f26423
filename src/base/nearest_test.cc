#include "base/nearest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace kvasir::base {
namespace {

TEST(Nearest, DistanceCountsEdits) {
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("bench", "bench"), 0);
  EXPECT_EQ(EditDistance("bnech", "bench"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(Nearest, NearestIsNearOrNothing) {
  const std::vector<std::string> known = {"run", "chat", "tokenize", "detokenize", "inspect"};
  EXPECT_EQ(Nearest("tokenise", known), "tokenize");
  EXPECT_EQ(Nearest("cht", known), "chat");
  EXPECT_EQ(Nearest("ins", known), "inspect");
  EXPECT_EQ(Nearest("serve", known), std::nullopt);
  EXPECT_EQ(Nearest("", known), std::nullopt);
}

RC_GTEST_PROP(Nearest, DistanceIsAMetricOnEqualsAndOrder, (const std::string& a, const std::string& b)) {
  RC_ASSERT(EditDistance(a, a) == 0);
  RC_ASSERT(EditDistance(a, b) == EditDistance(b, a));
  RC_ASSERT((EditDistance(a, b) == 0) == (a == b));
}

}  // namespace
}  // namespace kvasir::base
