#include "jinja/lexer.h"

#include <gtest/gtest.h>

namespace kvasir::jinja {
namespace {

/// The tokens in short: data quoted, "<" and ">" for the braces of a tag, else the text.
std::string Lex(std::string_view source) {
  const auto tokens = Tokenize(source);
  if (!tokens) return tokens.error().message;
  std::string out;
  for (const Token& token : *tokens) {
    switch (token.kind) {
      case TokenKind::kData: out += "'" + token.text + "'"; break;
      case TokenKind::kVariableBegin:
      case TokenKind::kBlockBegin: out += "<"; break;
      case TokenKind::kVariableEnd:
      case TokenKind::kBlockEnd: out += ">"; break;
      case TokenKind::kEnd: break;
      default: out += token.text + " ";
    }
  }
  return out;
}

TEST(Lexer, WhitespaceAroundTags) {
  EXPECT_EQ(Lex("a\n  {% x %}\nb"), "'a\n'<x >'b'");
  EXPECT_EQ(Lex("a\n  {%+ x +%}\nb"), "'a\n  '<x >'\nb'");
  EXPECT_EQ(Lex("a\n  {%- x -%}\n b"), "'a'<x >'b'");
  EXPECT_EQ(Lex("a  {% x %}  b"), "'a  '<x >'  b'");
  EXPECT_EQ(Lex("a\n  {{ x }}\nb"), "'a\n  '<x >'\nb'");
  EXPECT_EQ(Lex("a {{- x -}} b"), "'a'<x >'b'");
  EXPECT_EQ(Lex("  {# c #}\nb{#- c -#} d"), "'b''d'");
  EXPECT_EQ(Lex("{% x %}\n  {% y %}"), "<x ><y >");
}

TEST(Lexer, RawBlocksAreData) {
  EXPECT_EQ(Lex("{% raw %}{{ x }}{% endraw %}"), "'{{ x }}'");
  EXPECT_EQ(Lex("{% raw %}\na\n  {% endraw %}\nb"), "'\na\n''b'");
  EXPECT_EQ(Lex("{%- raw -%} {% a %} {%- endraw -%} b"), "'{% a %}''b'");
  EXPECT_EQ(Lex("{% raw %}x"), "template line 1: Missing end of raw directive");
}

TEST(Lexer, ATagEndsOnlyOutsideBrackets) {
  EXPECT_EQ(Lex("{{ {'a': {}} }}"), "<{ a : { } } >");
  EXPECT_EQ(Lex("{{ ( }}"), "template line 1: unexpected '}', expected ')'");
  EXPECT_EQ(Lex("{{ '}}' }}"), "<}} >");
}

TEST(Lexer, NumbersAndNames) {
  EXPECT_EQ(Lex("{{ 1 1.5 1e3 0x1F 1_000 012 a.1.2 é1 }}"), "<1 1.5 1e3 0x1F 1_000 0 12 a . 1 . 2 é1 >");
  EXPECT_EQ(Lex("{{ 1.x }}"), "<1 . x >");
  EXPECT_EQ(Lex("{{ 2**3//4<=5 }}"), "<2 ** 3 // 4 <= 5 >");
  EXPECT_EQ(Lex("{{ a ! }}"), "template line 1: unexpected char '!' at 5");
}

TEST(Lexer, LinesAreCounted) {
  const auto tokens = Tokenize("a\r\nb\r{{ x\n}}\n\n{%- y %}");
  ASSERT_TRUE(tokens);
  const auto line_of = [&](std::string_view text) {
    for (const Token& token : *tokens) {
      if (token.text == text) return token.line;
    }
    return 0;
  };
  EXPECT_EQ(line_of("x"), 3);
  EXPECT_EQ(line_of("y"), 6);
}

TEST(Lexer, OneNewlineAtTheEndGoes) {
  EXPECT_EQ(Lex("a\n"), "'a'");
  EXPECT_EQ(Lex("a\n\n"), "'a\n'");
  EXPECT_EQ(Lex("\r\n"), "");
}

}  // namespace
}  // namespace kvasir::jinja
