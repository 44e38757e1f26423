#include "grammar/constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/json_text.h"
#include "grammar/regex.h"
#include "grammar/store.h"
#include "grammar/text_without.h"
#include "text/tokenizer.h"
#include "text/vocabularies_test_support.h"

namespace kvasir::grammar {
namespace {

using testing::HasSubstr;

// Bytes, a few words, and tokens that run over what ends a JSON value.
std::unique_ptr<text::Tokenizer> MakeTokenizer() {
  text::Vocabulary v = text::ByteLevelVocabularyForTest();
  for (const char* extra : {"\":", "\"},", "\"}",   "{\"",   "\":\"", "\",\"", "]}", "}}", "[[", "\"]", "1,",
                            "12",  ", \"", "true}", "null,", "ab\"",  "()",    "))", "((", "a)", "]]}", "}]}"}) {
    v.tokens.push_back(text::SpellingOfBytes(extra));
    v.types.push_back(text::TokenType::kNormal);
  }
  v.tokens.push_back(text::SpellingOfBytes(std::string(kHorizon + 1, '-')));
  v.types.push_back(text::TokenType::kNormal);
  auto tokenizer = text::Tokenizer::Create(std::move(v));
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return std::move(*tokenizer);
}

class ConstraintTest : public testing::Test {
 protected:
  std::shared_ptr<TokenGrammar> Compile(const std::string& key, const Expr& expr) {
    auto grammar = store_.Get(key, expr);
    EXPECT_TRUE(grammar.has_value()) << grammar.error().message;
    return *grammar;
  }
  Constraint Make(const Expr& expr) { return {Compile(std::to_string(++made_), expr), tokenizer_->vocab_size()}; }
  std::set<int32_t> Allowed(Constraint& constraint) const {
    const auto mask = constraint.Mask();
    EXPECT_TRUE(mask.has_value()) << mask.error().message;
    std::set<int32_t> out;
    for (int32_t id = 0; mask && id < tokenizer_->vocab_size(); ++id) {
      if (((*mask)[static_cast<size_t>(id) / 32] >> (id % 32) & 1U) != 0) out.insert(id);
    }
    return out;
  }
  int32_t Token(std::string_view bytes) const {
    return *tokenizer_->FindToken(text::SpellingOfBytes(std::string(bytes)));
  }

  std::unique_ptr<text::Tokenizer> tokenizer_ = MakeTokenizer();
  Store store_{*tokenizer_};
  int made_ = 0;
};

// What a mask should be: each token of its own walked through the program.
std::set<int32_t> SlowlyAllowed(const Program& program, const TokenTable& table, const std::string& text) {
  Walker walker(program);
  const Walker::Position position = walker.NextText(walker.Start(), text);
  std::set<int32_t> out;
  for (int32_t id = 0; id < table.vocab_size(); ++id) {
    if (!table.piece(id).empty() && walker.NextText(position, table.piece(id)) != Walker::kDead) out.insert(id);
  }
  if (walker.complete(position)) out.insert(table.ends().begin(), table.ends().end());
  return out;
}

Expr GrammarNumber(int number) {
  switch (number) {
    case 0: return AnyJsonObject();
    case 1: return AnyJsonValue();
    case 2:
      return *ParseJsonSchema(R"({"type": "object", "properties": {"a": {"type": "string", "maxLength": 90},
        "b": {"type": "array", "items": {"$ref": "#"}}, "c": {"enum": ["hello", "hell", null, true]}}})");
    case 3: return *ParseGbnf("root ::= item+\nitem ::= \"(\" root? \")\" | [a-c]{2,70} | \"a\" item?");
    case 4: return Of(*RegexDfa("(ab|hello)*[^x]{0,3}|\\d+(,\\d+)*", RegexMatch::kWhole));
    default: return InOrderOf({Of(*TextWithout({"<call>", "hell"})), Exactly("<call>"), AnyJsonObject()});
  }
}
constexpr int kGrammars = 6;

RC_GTEST_FIXTURE_PROP(ConstraintTest, MasksAreWhatTryingEveryTokenGives, ()) {
  const Expr expr = GrammarNumber(*rc::gen::inRange(0, kGrammars));
  const auto grammar = Compile(std::to_string(++made_), expr);
  // Twice, so that the second one goes on with what the first one found.
  for (int round = 0; round < 2; ++round) {
    Constraint constraint(grammar, tokenizer_->vocab_size());
    std::string text;
    for (int step = 0; step < 25; ++step) {
      const std::set<int32_t> allowed = Allowed(constraint);
      RC_ASSERT(allowed == SlowlyAllowed(grammar->program(), grammar->table(), text));
      const auto choice = *rc::gen::elementOf(allowed);
      constraint.Accept(choice);
      if (tokenizer_->IsEndOfGeneration(choice)) break;
      text += tokenizer_->Piece(choice);
    }
  }
}

TEST_F(ConstraintTest, LiteralsTakeAnyTokensThatSpellThem) {
  Constraint constraint = Make(Exactly("hello"));
  EXPECT_EQ(Allowed(constraint), (std::set{Token("h"), Token("he"), Token("hell"), Token("hello")}));
  constraint.Accept(Token("he"));
  EXPECT_EQ(Allowed(constraint), (std::set{Token("l"), Token("ll")}));
  EXPECT_FALSE(constraint.complete());
  constraint.Accept(Token("ll"));
  constraint.Accept(Token("o"));
  EXPECT_TRUE(constraint.complete());
  const std::set<int32_t> ends = Allowed(constraint);
  EXPECT_TRUE(ends.contains(tokenizer_->eos()));
  for (const int32_t id : ends) EXPECT_TRUE(tokenizer_->IsEndOfGeneration(id));
  constraint.Accept(tokenizer_->eos());
  EXPECT_EQ(Allowed(constraint), ends);
}

TEST_F(ConstraintTest, RefusesAGrammarWithATokenThatEndsTheAnswer) {
  // The model would stop there, before the text is one of the grammar.
  const auto grammar = store_.Get("end", InOrderOf({grammar::Make({SpecialToken{"<|im_end|>"}}), Exactly("a")}));
  ASSERT_FALSE(grammar.has_value());
  EXPECT_EQ(grammar.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(grammar.error().message, HasSubstr("<|im_end|>"));
}

TEST_F(ConstraintTest, SpecialTokensAreNotTheirText) {
  const int32_t tool = *tokenizer_->FindToken("[tool]");
  Constraint special = Make(InOrderOf({grammar::Make({SpecialToken{"[tool]"}}), Exactly("a")}));
  EXPECT_EQ(Allowed(special), std::set{tool});
  special.Accept(tool);
  EXPECT_EQ(Allowed(special), std::set{Token("a")});
  // A user-defined token is ordinary text, too; control tokens never are.
  Constraint text = Make(Exactly("[tool]"));
  EXPECT_EQ(Allowed(text), (std::set{Token("["), tool}));
  Constraint control = Make(Exactly("<|im_end|>"));
  EXPECT_EQ(Allowed(control), std::set{Token("<")});
  // Both readings of one token are followed.
  Constraint both =
      Make(AnyOfThese({InOrderOf({grammar::Make({SpecialToken{"[tool]"}}), Exactly("a")}), Exactly("[tool]b")}));
  both.Accept(tool);
  EXPECT_EQ(Allowed(both), (std::set{Token("a"), Token("b")}));
}

TEST_F(ConstraintTest, AMissingSpecialTokenIsAnError) {
  for (const char* name : {"<missing>", "he"}) {  // "he" is a token, but of ordinary text
    const auto grammar = store_.Get(name, grammar::Make({SpecialToken{name}}));
    ASSERT_FALSE(grammar.has_value());
    EXPECT_THAT(grammar.error().message, HasSubstr(name));
  }
}

TEST_F(ConstraintTest, AWrongTokenIsReportedAtTheNextMask) {
  Constraint constraint = Make(Exactly("hello"));
  constraint.Accept(Token("a"));
  const auto mask = constraint.Mask();
  ASSERT_FALSE(mask.has_value());
  EXPECT_THAT(mask.error().message, HasSubstr("does not allow"));
}

TEST_F(ConstraintTest, TokensBeyondTheHorizonAreLeftOut) {
  Constraint constraint = Make(Times(Exactly("-"), 0, -1));
  EXPECT_FALSE(Allowed(constraint).contains(Token(std::string(kHorizon + 1, '-'))));
  EXPECT_TRUE(Allowed(constraint).contains(Token("-")));
}

TEST_F(ConstraintTest, LongTextsDoNotFillTheMemory) {
  // Each bracket is another stack, so more positions come up than are kept.
  const auto grammar = Compile("nested", *ParseGbnf("root ::= item*\nitem ::= \"(\" item* \")\" | \"a\""));
  Constraint constraint(grammar, tokenizer_->vocab_size());
  std::string text;
  int depth = 0;
  bool up = true;
  for (uint32_t i = 0; i < 3 * Walker::kMostPositions; ++i) {
    if (depth == 0) up = true;
    if (depth == 900) up = false;
    const char c = i % 7 == 3 ? 'a' : up ? '(' : ')';
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    constraint.Accept(Token(std::string(1, c)));
    text += c;
    if (i % 1000 == 17) {
      ASSERT_EQ(Allowed(constraint), SlowlyAllowed(grammar->program(), grammar->table(), text));
    }
  }
  EXPECT_TRUE(constraint.Mask().has_value());
}

TEST_F(ConstraintTest, TheMaskBudgetIsKept) {
  const auto table = std::make_shared<const TokenTable>(*tokenizer_);
  const auto budget = std::make_shared<MaskBudget>();
  budget->limit = 2'000;
  const auto program = Program::Compile(GrammarNumber(2));
  ASSERT_TRUE(program.has_value());
  {
    TokenGrammar grammar(*program, table, {}, budget);
    for (uint32_t s = 0; s < grammar.program().size(); ++s) {
      const auto mask = grammar.LocalMaskOf(s);
      ASSERT_TRUE(mask.has_value());
      EXPECT_LE(budget->used, std::max(budget->limit, (*mask)->bytes));
    }
    EXPECT_GT(budget->used, 0u);
  }
  EXPECT_EQ(budget->used, 0u);
}

TEST_F(ConstraintTest, AmbiguityHasABound) {
  // Every "a" may begin another of 600 ways.
  std::vector<Expr> parts;
  const auto rules = std::make_shared<Rules>();
  for (uint32_t i = 0; i < 600; ++i) {
    rules->names.push_back("r" + std::to_string(i));
    rules->bodies.push_back(InOrderOf({Exactly("a"), Maybe(Exactly(std::to_string(i))), Exactly("b")}));
    parts.push_back(InOrderOf({grammar::Make({RuleCall{rules.get(), i}}), Exactly(std::to_string(i))}));
  }
  const auto grammar = store_.Get("ambiguous", grammar::Make({Scope{rules, AnyOfThese(parts)}}));
  ASSERT_TRUE(grammar.has_value());
  Constraint constraint(*grammar, tokenizer_->vocab_size());
  const auto mask = constraint.Mask();
  ASSERT_FALSE(mask.has_value());
  EXPECT_THAT(mask.error().message, HasSubstr("too ambiguous"));
}

TEST_F(ConstraintTest, TheStoreKeepsWhatIsUsed) {
  const auto first = Compile("first", Exactly("a"));
  EXPECT_EQ(Compile("first", Exactly("a")), first);
  for (size_t i = 0; i < Store::kMostGrammars - 1; ++i) (void)Compile("x" + std::to_string(i), Exactly("b"));
  EXPECT_EQ(Compile("first", Exactly("a")), first);
  for (size_t i = 0; i < Store::kMostGrammars; ++i) (void)Compile("y" + std::to_string(i), Exactly("b"));
  EXPECT_NE(Compile("first", Exactly("a")), first);
}

}  // namespace
}  // namespace kvasir::grammar
