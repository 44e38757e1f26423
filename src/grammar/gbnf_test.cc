#include "grammar/gbnf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grammar/matching_test_support.h"
#include "grammar/program.h"

namespace kvasir::grammar {
namespace {

using testing::HasSubstr;

Expr Parse(std::string_view text) {
  auto expr = ParseGbnf(text);
  EXPECT_TRUE(expr.has_value()) << expr.error().message;
  return expr ? *expr : Nothing();
}

void Check(std::string_view grammar, const std::vector<std::string>& yes, const std::vector<std::string>& no) {
  const Expr expr = Parse(grammar);
  for (const std::string& text : yes) EXPECT_TRUE(MatchesForTest(expr, text)) << grammar << " on " << text;
  for (const std::string& text : no) EXPECT_FALSE(MatchesForTest(expr, text)) << grammar << " on " << text;
}

TEST(GbnfTest, ReadsEveryForm) {
  Check("root ::= \"a\" [b-d] . | \"x\\n\\x41\\u00e9\\U0001F600\\\"\"", {"abz", "ad\n", "x\nAé😀\""}, {"ae", "x"});
  Check("root ::= [^a\\]]+", {"b", "é[\\"}, {"a", "]", ""});
  Check("root ::= \"a\"* \"b\"+ \"c\"? \"d\"{2} \"e\"{1,} \"f\"{0,2}", {"bdde", "aabbcddeeff"}, {"bde", "bddefff"});
  Check("root ::= (\"a\" | \"b\" \"c\")* \"\"", {"", "abca"}, {"b"});
  Check("# a comment\nroot ::= word # another\n\nword ::= \"hi\"\n", {"hi"}, {"word"});
  Check("root ::=\n  \"a\" |\n  \"b\"\n  | \"c\"\n", {"a", "b", "c"}, {"d"});
  Check("root ::= (\n \"a\"\n other-rule2\n)\nother-rule2 ::= \"b\"", {"ab"}, {"a"});
  Check("root ::= \"a\" <|im_end|> \"b\"", {"a<|im_end|>b"}, {"ab"});
  Check("root ::= [a-]", {"a", "-"}, {"b"});
}

TEST(GbnfTest, ReadsAGrammarOfArithmetic) {
  Check(
      "root  ::= (expr \"=\" ws term \"\\n\")+\n"
      "expr  ::= term ([-+*/] term)*\n"
      "term  ::= ident | num | \"(\" ws expr \")\" ws\n"
      "ident ::= [a-z] [a-z0-9_]* ws\n"
      "num   ::= [0-9]+ ws\n"
      "ws    ::= [ \\t\\n]*\n",
      {"1+2=3\n", "(a1 *(b-2)) /7 = c\n", "x=1\ny=2\n"}, {"1+=3\n", "(1=2\n", "1+2=3"});
}

TEST(GbnfTest, ErrorsNameLineAndColumn) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "no rule root"},
      {"start ::= \"a\"", "no rule root"},
      {"root ::= other", "uses the rule other"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 9: the rule root is defined a second time"},
      {"root \"a\"", "line 1, column 6: ::= is missing"},
      {"root ::= \"a", "the line ends inside a literal"},
      {"root ::= [a", "the line ends inside a literal or a class"},
      {"root ::= (\"a\"", "a ) is missing"},
      {"root ::= \"a\")", "line 1, column 13"},
      {"root ::= [b-a]", "from one character up"},
      {"root ::= \"\\q\"", "the escape is none of"},
      {"root ::= \"\\x4\"", "2 hexadecimal digits"},
      {"root ::= \"\\uD800\"", "no character"},
      {"root ::= \"a\"{3,2}", "ends before it begins"},
      {"root ::= \"a\"{99999}", "more than 65535"},
      {"root ::= \"a\"*?+*?+", "more than 4 repeats"},
      {"root ::= <[1000]>", "tokens by number"},
      {"root ::= !<x>", "a negated token"},
      {"root ::= <x", "has no >"},
      {"%llguidance {}", "line 1, column 1: the name of a rule is missing"},
      {std::string("root ::= \xFF"), "not UTF-8 at byte 9"},
      {"root ::= " + std::string(60'000, '('), "nest deeper than 200"},
  };
  for (const auto& [grammar, message] : cases) {
    const auto expr = ParseGbnf(grammar);
    ASSERT_FALSE(expr.has_value()) << grammar;
    EXPECT_THAT(expr.error().message, HasSubstr(message)) << grammar.substr(0, 80);
  }
}

TEST(GbnfTest, LeftRecursionIsRefusedWhenCompiled) {
  const auto program = Program::Compile(Parse("root ::= root \"a\" | \"b\""));
  ASSERT_FALSE(program.has_value());
  EXPECT_THAT(program.error().message, HasSubstr("the rule root may begin with itself"));
}

TEST(GbnfTest, ManyAlternativesCompile) {
  std::string grammar = "root ::= \"word0\"";
  for (int i = 1; i < 5000; ++i) grammar += " | \"word" + std::to_string(i) + "\"";
  Check(grammar, {"word0", "word4999"}, {"word5000", "word"});
}

}  // namespace
}  // namespace kvasir::grammar
