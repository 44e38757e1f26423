#include "eval/branches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/check.h"
#include "kvcache/eviction_policy.h"
#include "model/tiny_model_test_support.h"

namespace kvasir::eval {
namespace {

using ::testing::HasSubstr;

constexpr int kContext = 1024;
constexpr size_t kText = 700;
using Rows = std::map<int, std::vector<float>>;

std::vector<KvSpec> AllPolicies(const std::string& stored) {
  std::vector<KvSpec> caches = {ParseKvSpec(stored).value()};
  for (const kvcache::EvictionPolicy* policy : kvcache::EvictionPolicies()) {
    caches.push_back(ParseKvSpec(stored + ",evict=" + std::string(policy->name()) + ",budget=40%").value());
  }
  return caches;
}

std::shared_ptr<Engine> Load(const std::string& stored, std::span<const KvSpec> caches) {
  static const std::string path = model::TinyModel{.layers = 3, .window = 0}.Write("branches");
  EngineOptions options{.model = path, .kv = ParseKvSpec(stored).value(), .threads = 2, .context_tokens = kContext};
  options.kv_budget_bytes = BranchBytes(options, caches).value();
  auto engine = Engine::Load(options);
  KV_CHECK(engine.has_value());
  return std::move(*engine);
}

std::vector<int32_t> Text(size_t count) {
  std::vector<int32_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = 3 + static_cast<int32_t>((i * 37 + i / 11 + i * i % 7) % 256);
  return tokens;
}

// What a session of its own gives behind the text: in one piece, and then token by token.
Rows Alone(Engine& engine, const KvSpec& kv, std::span<const int32_t> text, size_t known) {
  Rows rows;
  const auto session = std::move(engine.NewSession(kv)).value();
  const auto take = [&](int first) {
    return [&rows, first](int index, std::span<const float> logits) {
      rows[first + index].assign(logits.begin(), logits.end());
    };
  };
  KV_CHECK(session->Evaluate(text.first(known), static_cast<int>(known), 0, take(0)).has_value());
  KV_CHECK(session->CompressCache().has_value());
  const auto piece = text.subspan(known, 20);
  KV_CHECK(session->Evaluate(piece, 0, 0, take(0)).has_value());
  for (size_t i = known + 20; i < text.size(); ++i) {
    KV_CHECK(session->Evaluate(text.subspan(i, 1), 0, 0, take(static_cast<int>(i - known))).has_value());
  }
  return rows;
}

// Side by side with all others, and after another trunk, each branch computes the bits of a session of its own.
TEST(BranchesTest, ABranchIsWhatASessionAloneWouldBe) {
  for (const char* stored : {"f16", "nuq4,recent=64"}) {
    const std::vector<KvSpec> caches = AllPolicies(stored);
    const std::shared_ptr<Engine> engine = Load(stored, caches);
    Branches branches = Branches::Create(engine, caches).value();
    const std::vector<int32_t> text = Text(kText + 300);
    ASSERT_TRUE(branches.Grow(std::span(text).subspan(100, 500)).has_value());
    ASSERT_TRUE(branches.Start(3).has_value());
    ASSERT_TRUE(branches.Grow(std::span(text).first(kText)).has_value());
    std::vector<Rows> rows(caches.size());
    std::vector<Branches::Work> work;
    for (size_t i = 0; i < caches.size(); ++i) {
      ASSERT_TRUE(branches.Start(i).has_value());
      EXPECT_EQ(branches.bytes(i) < branches.bytes(0), i > 0) << i;
      work.push_back({.branch = i, .tokens = std::span(text).subspan(kText, 20), .first_logits = 0});
    }
    int first = 0;
    const auto take = [&](size_t item, int index, std::span<const float> logits) {
      rows[item][first + index].assign(logits.begin(), logits.end());
    };
    ASSERT_TRUE(branches.Run(work, take).has_value());
    for (size_t i = kText + 20; i < text.size(); ++i) {
      first = static_cast<int>(i - kText);
      for (Branches::Work& each : work) each.tokens = std::span(text).subspan(i, 1);
      ASSERT_TRUE(branches.Run(work, take).has_value());
    }
    for (size_t i = 0; i < caches.size(); ++i) branches.End(i);
    for (size_t i = 0; i < caches.size(); ++i) {
      const Rows alone = Alone(*engine, caches[i], text, kText);
      ASSERT_EQ(rows[i].size(), 300u);
      EXPECT_EQ(rows[i], alone) << stored << " " << KvSpecText(caches[i]);
    }
  }
}

// More rows than a batch takes, and only those logits that are wanted.
TEST(BranchesTest, WorkIsCutIntoBatches) {
  const std::vector<KvSpec> caches = AllPolicies("f16");
  const std::shared_ptr<Engine> engine = Load("f16", caches);
  Branches branches = Branches::Create(engine, caches).value();
  const std::vector<int32_t> text = Text(kText + 200);
  ASSERT_TRUE(branches.Grow(std::span(text).first(kText)).has_value());
  std::vector<Branches::Work> work;
  for (size_t i = 0; i < caches.size(); ++i) {
    ASSERT_TRUE(branches.Start(i).has_value());
    work.push_back({.branch = i, .tokens = std::span(text).subspan(kText), .first_logits = 199});
  }
  std::vector<int> calls(caches.size());
  ASSERT_TRUE(branches
                  .Run(work,
                       [&](size_t item, int index, std::span<const float>) {
                         EXPECT_EQ(index, 199);
                         ++calls[item];
                       })
                  .has_value());
  EXPECT_EQ(calls, std::vector<int>(caches.size(), 1));
}

TEST(BranchesTest, CachesHaveToBeStoredAlike) {
  const std::vector<KvSpec> caches = {ParseKvSpec("q8,evict=tova,budget=50%").value()};
  const std::shared_ptr<Engine> engine = Load("f16", caches);
  const auto refused = Branches::Create(engine, caches);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("q8,evict=tova,budget=50% is not stored like f16"));
}

}  // namespace
}  // namespace kvasir::eval
