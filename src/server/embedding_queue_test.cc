#include "server/embedding_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvasir::server {
namespace {

std::string Base64Of(std::initializer_list<float> numbers) {
  const std::vector<float> vector(numbers);
  return WriteVector(vector, VectorEncoding::kBase64);
}

TEST(WriteVector, NumbersComeBackAsTheyWere) {
  const std::vector<float> vector = {1, -0.5F, 0.1F, 3.4028235e38F, 1e-45F};
  EXPECT_EQ(WriteVector(vector, VectorEncoding::kFloats), "[1,-0.5,0.1,3.4028235e+38,1e-45]");
  EXPECT_EQ(WriteVector({}, VectorEncoding::kFloats), "[]");
}

TEST(WriteVector, Base64IsLittleEndian) {
  EXPECT_EQ(Base64Of({}), "\"\"");
  EXPECT_EQ(Base64Of({1}), "\"AACAPw==\"");
  EXPECT_EQ(Base64Of({1, -2}), "\"AACAPwAAAMA=\"");
  EXPECT_EQ(Base64Of({1, -2, 0.5F}), "\"AACAPwAAAMAAAAA/\"");
}

TEST(EmbeddingJob, CountsItsTokens) {
  const EmbeddingJob job({{1, 2, 3}, {4}}, VectorEncoding::kFloats);
  EXPECT_EQ(job.texts(), 2u);
  EXPECT_EQ(job.tokens(), 4);
  EXPECT_FALSE(job.finished());
}

}  // namespace
}  // namespace kvasir::server
