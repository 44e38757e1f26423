// Every policy with every codec, on a real model: a number in a text of a few hundred tokens is still found.
//
// The text is short so that all combinations take seconds, and the place is fair: the needle lies in a page that codecs
// have encoded and that every policy may forget, and the budget is one page less than the text, nine tenths of it. What
// is asked for stands at the end of the prompt, so policies that look at the last rows see it. Branches give what a
// session of each cache alone gives (branches_test.cc), for one prefill per codec.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "eval/branches.h"
#include "eval/distribution.h"
#include "kvcache/codec.h"
#include "kvcache/eviction_policy.h"
#include "kvcache/half_codec.h"

namespace kvasir::eval {
namespace {

constexpr int kContext = 1024;
constexpr int kAnswerTokens = 6;  // a space, four digits, and what follows
constexpr const char* kNumber = "7316";

// Of these only that they run and free memory is expected. H2O keeps half of its budget for recent tokens, and gives
// the rest to what all rows look at, the repeated words; Expected Attention to what queries like those so far would.
// Both lose the needle with an f16 cache, too. AdaKV leaves some heads a fifth of an even share, and says 731; random
// is luck.
constexpr const char* kMayLoseIt[] = {"random", "h2o", "adakv", "expected"};
// The plainest codecs of 2 bits lose it without any eviction; these two, uncalibrated, with some policies.
constexpr const char* kTooCoarse[] = {"k=kivi2,v=kivi2", "k=tok2,v=tok2"};
constexpr const char* kCoarse[] = {"k=nuq3,v=nuq3", "k=nuq2,v=nuq2"};

// The others, of the same kinds, only where they are asked for.
constexpr const char* kAlways[] = {"f16", "q8", "k=ch4,v=ch4"};

// All names that `--kv` takes for all pages or for the encoded ones. "auto:..." stands for some of these (its test:
// tests/api/test_eviction.py).
std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const kvcache::Codec* codec : kvcache::Codecs()) names.emplace_back(codec->name());
  for (const kvcache::HalfCodec& codec : kvcache::HalfCodecs()) names.push_back(fmt::format("k={0},v={0}", codec.name));
  return names;
}

// The last 64 tokens stay open, and what lies before the last multiple of 256 is encoded.
std::string SpecOf(const std::string& name) {
  return name.starts_with("k=") ? name + ",recent=64" : name;
}

// About 640 tokens with the needle in the middle, and a question that the number completes.
std::string Prompt() {
  constexpr const char* kThings[] = {"grass", "sky", "sea", "sand", "moss", "corn", "clay", "snow"};
  constexpr const char* kColours[] = {"green", "blue", "grey", "yellow", "dark", "gold", "red", "white"};
  std::string text;
  for (int i = 0; i < 44; ++i) {
    if (i == 20) text += fmt::format("The secret number of the lighthouse is {}. ", kNumber);
    text += fmt::format("In field {} the {} is {} and nobody walks there. ", i, kThings[i % 8], kColours[i % 8]);
  }
  return text +
         "\nQuestion: What is the secret number of the lighthouse?\nAnswer: The secret number of the lighthouse is";
}

bool IsExpected(const std::string& codec, const std::string& policy) {
  if (std::ranges::count(kTooCoarse, codec) > 0) return false;
  return policy.empty() || (std::ranges::count(kCoarse, codec) == 0 && std::ranges::count(kMayLoseIt, policy) == 0);
}

class NeedleTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a real model takes minutes with a sanitizer, and EvictionTest runs all of this on a small one";
#endif
    const char* heavy = std::getenv("KVASIR_HEAVY_TESTS");
    if (std::ranges::count(kAlways, GetParam()) == 0 && (heavy == nullptr || std::string_view(heavy) != "1")) {
      GTEST_SKIP() << "takes long: KVASIR_HEAVY_TESTS=1 asks for it, as CI does";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Codecs, NeedleTest, testing::ValuesIn(Names()), [](const auto& test) {
  std::string name = test.param;
  std::ranges::replace_if(name, [](char c) { return c == '=' || c == ','; }, '_');
  return name;
});

// What each branch goes on with behind `last`, the last token of the prompt.
std::vector<std::string> Answers(Branches& branches, const Tokenizer& tokenizer, int32_t last) {
  std::vector<int32_t> next(branches.size(), last);
  std::vector<std::vector<int32_t>> tokens(branches.size());
  std::vector<Branches::Work> work;
  for (size_t i = 0; i < branches.size(); ++i) {
    work.push_back({.branch = i, .tokens = {&next[i], 1}, .first_logits = 0});
  }
  for (int step = 0; step < kAnswerTokens; ++step) {
    const Status status = branches.Run(
        work, [&](size_t item, int, std::span<const float> logits) { tokens[item].push_back(TopToken(logits)); });
    KV_CHECK(status.has_value());
    for (size_t i = 0; i < next.size(); ++i) next[i] = tokens[i].back();
  }
  std::vector<std::string> texts;
  for (const std::vector<int32_t>& answer : tokens) texts.push_back(tokenizer.Decode(answer).value());
  return texts;
}

TEST_P(NeedleTest, IsFoundUnderEveryPolicy) {
  EngineOptions options{
      .model = "smollm2", .kv = ParseKvSpec(SpecOf(GetParam())).value(), .threads = 2, .context_tokens = kContext};
  static const auto kTokenizer = Tokenizer::Load(options.model);
  if (!kTokenizer) GTEST_SKIP() << kTokenizer.error().message;
  const std::vector<int32_t> prompt = (*kTokenizer)->Encode(Prompt());
  std::vector<KvSpec> caches = {options.kv};
  for (const kvcache::EvictionPolicy* policy : kvcache::EvictionPolicies()) {
    caches.push_back(options.kv);
    caches.back().evict = policy->name();
    caches.back().budget_tokens = static_cast<int>(prompt.size()) - 1 - kernels::kPageTokens;
  }
  options.kv_budget_bytes = BranchBytes(options, caches).value();
  const std::shared_ptr<Engine> engine = Engine::Load(options).value();
  Branches branches = Branches::Create(engine, caches).value();
  ASSERT_TRUE(branches.Grow(std::span(prompt).first(prompt.size() - 1)).has_value());
  const size_t trunk = engine->memory().kv_bytes;
  for (size_t i = 0; i < caches.size(); ++i) ASSERT_TRUE(branches.Start(i).has_value());
  for (size_t i = 1; i < caches.size(); ++i) {
    EXPECT_LT(branches.bytes(i), branches.bytes(0)) << caches[i].evict;
  }
  const std::vector<std::string> answers = Answers(branches, engine->tokenizer(), prompt.back());
  for (size_t i = 0; i < caches.size(); ++i) {
    branches.End(i);
    if (IsExpected(GetParam(), caches[i].evict)) {
      EXPECT_TRUE(answers[i].contains(kNumber)) << caches[i].evict << " says" << answers[i];
    }
    EXPECT_FALSE(answers[i].empty()) << caches[i].evict;
  }
  EXPECT_EQ(engine->memory().kv_bytes, trunk);
}

}  // namespace
}  // namespace kvasir::eval
