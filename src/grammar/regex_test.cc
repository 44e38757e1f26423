#include "grammar/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/seconds_since.h"
#include "grammar/characters.h"
#include "grammar/matching_test_support.h"

namespace kvasir::grammar {
namespace {

using testing::HasSubstr;

struct Case {
  const char* pattern;
  std::vector<std::string> yes;
  std::vector<std::string> no;
};

void Check(const std::vector<Case>& cases, RegexMatch match) {
  for (const Case& each : cases) {
    const auto dfa = RegexDfa(each.pattern, match);
    ASSERT_TRUE(dfa.has_value()) << dfa.error().message;
    for (const std::string& text : each.yes) EXPECT_TRUE(dfa->Accepts(text)) << each.pattern << " on " << text;
    for (const std::string& text : each.no) EXPECT_FALSE(dfa->Accepts(text)) << each.pattern << " on " << text;
  }
}

TEST(RegexTest, MatchesWholeTexts) {
  Check({{"", {""}, {"a"}},
         {"abc", {"abc"}, {"ab", "abcd", "xabc"}},
         {"a|bc|", {"a", "bc", ""}, {"abc", "b"}},
         {"^abc$", {"abc"}, {"xabc", "abcx"}},
         {"(^a|b)c", {"ac", "bc"}, {"abc"}},
         {"a*b+c?", {"b", "aab", "abbc"}, {"a", "ac", "bcc"}},
         {"(ab){2}", {"abab"}, {"ab", "ababab"}},
         {"a{2,}", {"aa", "aaaa"}, {"a"}},
         {"a{1,3}?", {"a", "aaa"}, {"", "aaaa"}},
         {"(?:a|(?<name>b))*", {"", "abba"}, {"c"}},
         {"[a-cx]", {"a", "c", "x"}, {"d", "-", "ax"}},
         {"[^a-c]", {"d", "é", "€", "😀", "\n"}, {"a", "", "\xFF", "\xC3"}},
         {"[a-]", {"a", "-"}, {"b"}},
         {"[-a\\]\\d]", {"-", "]", "7"}, {"b"}},
         {"[]", {}, {"", "a"}},
         {"[^]", {"a", "\n", "é"}, {""}},
         {".", {"a", "é", "😀"}, {"\n", "\r", "\xE2\x80\xA8", ""}},
         {"\\d+\\.\\d\\d", {"3.14"}, {"3,14", "314"}},
         {"\\w\\s\\S\\D\\W", {"a -x ", "_\té.-"}, {"é - x"}},
         {"\\x41\\u0042\\u{43}\\u{1F600}", {"ABC😀"}, {"abc"}},
         {"\\n\\t\\/\\-\\.", {"\n\t/-."}, {}},
         {"\\p{Lu}\\p{L}*\\P{L}", {"Éa1", "AB-"}, {"éa1", "AB"}},
         {"é{2}", {"éé"}, {"é"}},
         {"[à-ü]+", {"éè"}, {"e"}},
         {"a^b", {}, {"ab", "a^b"}}},
        RegexMatch::kWhole);
}

TEST(RegexTest, SearchesLikeJsonSchema) {
  Check({{"b", {"b", "abc", "é b"}, {"", "ac"}},
         {"^b", {"b", "bc"}, {"ab"}},
         {"b$", {"b", "ab"}, {"bc"}},
         {"^b$", {"b"}, {"ab", "bc"}},
         {"^a|b$", {"ax", "xb"}, {"xax", "bx"}},
         {"", {"", "anything"}, {"\xFF"}},
         {"^(a|b)+c{0}$", {"ab"}, {"abc", ""}}},
        RegexMatch::kSearch);
}

TEST(RegexTest, WhatIsWrongIsNamedWithItsPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"(a", "byte 2: a ) is missing"},
      {"a)", "byte 1: there is a ) without"},
      {"[a", "a ] is missing"},
      {"*a", "byte 0: there is nothing to repeat"},
      {"a**", "there is nothing to repeat"},
      {"a{", "a number is missing"},
      {"a{2", "a } is missing"},
      {"a{3,2}", "{3,2} ends before it begins"},
      {"a{70000}", "more than 65535"},
      {"[b-a]", "from one character up"},
      {"\\", "ends with a backslash"},
      {"\\y", "\\y has no meaning"},
      {"\\u12", "\\u four"},
      {"\\p{Xx}", "Xx is not known"},
      {"[[:alpha:]]", "[:alpha:]"},
      {"(?i)a", "flags are not"},
      {"(?=a)", "look-around at byte 1"},
      {"(?<!a)b", "look-around"},
      {"(a)\\1", "a back reference"},
      {"\\bword", "a word boundary"},
      {"\xFF", "not UTF-8 at byte 0"},
  };
  for (const auto& [pattern, message] : cases) {
    const auto dfa = RegexDfa(pattern, RegexMatch::kWhole);
    ASSERT_FALSE(dfa.has_value()) << pattern;
    EXPECT_THAT(dfa.error().message, HasSubstr(message)) << pattern;
  }
}

TEST(RegexTest, HostilePatternsAreRefusedSoon) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(RegexDfa(std::string(60'000, '('), RegexMatch::kWhole).has_value());
  EXPECT_FALSE(RegexDfa(std::string(100'000, 'a'), RegexMatch::kWhole).has_value());
  EXPECT_FALSE(RegexDfa("((((a{0,1000}){0,1000}){0,1000}){0,1000}){0,1000}", RegexMatch::kWhole).has_value());
  EXPECT_FALSE(RegexDfa("(a|b)*a(a|b){30}", RegexMatch::kSearch).has_value());
  EXPECT_TRUE(RegexDfa("(a+)+$", RegexMatch::kSearch).has_value());
  EXPECT_LT(base::SecondsSince(start), kSoonSeconds);
}

TEST(CharactersTest, Utf8BytesOfRanges) {
  // Every range whose ends lie around the places where the encoding changes.
  const std::vector<char32_t> places = {0,       0x41,    0x7F,    0x80,     0xBF,    0xC0,   0x7FF,
                                        0x800,   0xFFF,   0x1000,  0xD7FF,   0xE000,  0xFFFF, 0x10000,
                                        0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF};
  const auto encoded = [](char32_t c) {
    const auto dfa = DfaOf(CharacterSet({{c, c}}).ToExpr());
    std::string text;
    for (uint32_t state = 0; !dfa->states[state].accept; state = dfa->states[state].edges[0].target) {
      text += static_cast<char>(dfa->states[state].edges[0].low);
    }
    return text;
  };
  EXPECT_EQ(encoded(U'€'), "€");
  EXPECT_EQ(encoded(U'😀'), "😀");
  for (const char32_t low : places) {
    for (const char32_t high : places) {
      if (low > high) continue;
      const auto dfa = DfaOf(CharacterSet({{low, high}}).ToExpr());
      ASSERT_TRUE(dfa.has_value());
      for (const char32_t c : places) {
        ASSERT_EQ(dfa->Accepts(encoded(c)), c >= low && c <= high)
            << uint32_t{low} << " " << uint32_t{high} << " " << uint32_t{c};
      }
    }
  }
  const auto any = DfaOf(AnyCharacter());
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE2\x82"}) {
    EXPECT_FALSE(any->Accepts(bad));
  }
}

}  // namespace
}  // namespace kvasir::grammar
