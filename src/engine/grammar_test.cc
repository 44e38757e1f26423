#include "kvasir/grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/scheduler_testing.h"
#include "kvasir/scheduler.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

class GrammarTest : public SchedulerTest {
 protected:
  static Request Constrained(const Engine& engine, const Grammar& grammar, int seed = 1) {
    Request request{.prompt = SomeTokens(12, seed), .max_tokens = 300};
    request.sampling.seed = static_cast<uint64_t>(seed);
    auto constraint = Constrain(engine, grammar);
    EXPECT_TRUE(constraint.has_value()) << constraint.error().message;
    if (constraint) request.constraint = *constraint;
    return request;
  }
};

Grammar Must(Result<Grammar> grammar) {
  EXPECT_TRUE(grammar.has_value()) << grammar.error().message;
  return std::move(grammar).value();
}

TEST_F(GrammarTest, WhateverARandomModelWantsTheAnswerHasTheForm) {
  const auto engine = Load();
  const std::vector<Grammar> grammars = {
      Must(Grammar::FromRegex("(yes|no){1,5}")),
      Must(Grammar::FromGbnf("root ::= \"(\" root? \")\" | [a-c]{1,9}")),
      Must(Grammar::FromJsonSchema(R"({"type": "object", "required": ["n", "w"], "properties": {
        "n": {"type": "integer", "minimum": 7, "maximum": 99}, "w": {"enum": ["a", "b"]}}})")),
      Grammar::Sequence({Grammar::Literal("<"), Grammar::Repeat(Grammar::Literal("é"), 1, 4), Grammar::Literal(">")}),
  };
  const auto session = engine->NewSession();
  for (const Grammar& grammar : grammars) {
    for (int seed = 1; seed <= 5; ++seed) {
      const auto answer = (*session)->Generate(Constrained(*engine, grammar, seed));
      ASSERT_TRUE(answer.has_value()) << answer.error().message;
      if (answer->reason != FinishReason::kStop) continue;  // nested too long; the others end by themselves
      EXPECT_TRUE(*grammar.Matches(answer->text)) << answer->text;
    }
  }
}

TEST_F(GrammarTest, ManyRequestsShareOneGrammar) {
  const auto engine = Load();
  const auto scheduler = Make(*engine);
  const Grammar grammar = Must(Grammar::FromRegex("[a-z]{1,30}(, [a-z]{1,30}){0,4}"));
  std::vector<FutureCompletion> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(Start(*scheduler, {.request = Constrained(*engine, grammar, i)}));
  for (FutureCompletion& answer : answers) {
    const auto completion = answer.get();
    ASSERT_TRUE(completion.has_value()) << completion.error().message;
    EXPECT_TRUE(*grammar.Matches(completion->generation.text)) << completion->generation.text;
  }
}

TEST_F(GrammarTest, TheEndIsForcedWhereNothingElseFits) {
  const auto engine = Load();
  const auto session = engine->NewSession();
  const auto answer = (*session)->Generate(Constrained(*engine, Grammar::Literal("done")));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->text, "done");
  EXPECT_EQ(answer->reason, FinishReason::kStop);
}

TEST_F(GrammarTest, CombinesTexts) {
  const Grammar word = Grammar::Choice({Grammar::Literal("a"), Grammar::Literal("bb")});
  const Grammar free = Grammar::TextWithout({"<end>", ""});
  const Grammar all = Grammar::Sequence({free, Grammar::Special("<end>"), Grammar::Repeat(word, 2, 3)});
  EXPECT_TRUE(*all.Matches("any <en text é<end>abb"));
  EXPECT_TRUE(*all.Matches("<end>aaa"));
  EXPECT_FALSE(*all.Matches("<end>a"));
  EXPECT_FALSE(*all.Matches("x<end>y<end>aa"));
  EXPECT_FALSE(*all.Matches("\xFF<end>aa"));
  EXPECT_TRUE(*Grammar::Repeat(word, -3, -1).Matches(""));
  EXPECT_TRUE(*Grammar::Repeat(word, 2, 1).Matches("aa"));
  EXPECT_FALSE(*Grammar::Repeat(word, 2, 1).Matches("aaa"));
  EXPECT_TRUE(*Grammar::AnyJsonObject().Matches(R"({"a": [1, {}]})"));
  EXPECT_FALSE(*Grammar::AnyJsonObject().Matches("[]"));
  EXPECT_FALSE(Grammar::Choice({}).Matches("").has_value());
}

TEST_F(GrammarTest, ErrorsComeWhenTheGrammarIsMadeOrUsed) {
  const auto engine = Load();
  EXPECT_FALSE(Grammar::FromRegex("(").has_value());
  EXPECT_FALSE(Grammar::FromJsonSchema("{\"not\": {}}").has_value());
  EXPECT_FALSE(Grammar::FromGbnf("").has_value());
  const auto missing = Constrain(*engine, Grammar::Special("<tool_call>"));
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr("<tool_call>"));
  // Too many states, and the error reaches what is built on it.
  const Grammar huge = Grammar::TextWithout({std::string(1'000'000, 'x')});
  for (const Grammar& grammar :
       {huge, Grammar::Sequence({huge}), Grammar::Choice({huge}), Grammar::Repeat(huge, 1, 2)}) {
    EXPECT_FALSE(grammar.Matches("").has_value());
    EXPECT_EQ(Constrain(*engine, grammar).error().code, ErrorCode::kResourceExhausted);
  }
}

}  // namespace
}  // namespace kvasir
