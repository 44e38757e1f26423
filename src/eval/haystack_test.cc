#include "eval/haystack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "eval/words.h"

namespace kvasir::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SplitSentences, EndsAtMarksBeforeWhiteSpace) {
  EXPECT_THAT(SplitSentences("One. Two\nlines!  Is 3.14 one?\tThe rest"),
              ElementsAre("One.", "Two lines!", "Is 3.14 one?", "The rest"));
  EXPECT_THAT(SplitSentences("= Title =\n\n ... \n A b ."), ElementsAre("= Title = ...", "A b ."));
  EXPECT_THAT(SplitSentences("Wirklich schön. Ja."), ElementsAre("Wirklich schön.", "Ja."));
  EXPECT_THAT(SplitSentences(" \n . ? ="), IsEmpty());
  EXPECT_THAT(SplitSentences(""), IsEmpty());
}

TEST(Haystack, RepeatsWhatTheUserGives) {
  const Haystack haystack(std::vector<std::string>{"A.", "B.", "C."});
  EXPECT_EQ(haystack.period(), 3u);
  EXPECT_EQ(haystack.Sentence(1), "B.");
  EXPECT_EQ(haystack.Sentence(301), "B.");
}

TEST(Haystack, MadeUpSentencesAreSentencesWithoutNeedles) {
  const Haystack haystack(1);
  std::set<std::string> all;
  for (uint64_t i = 0; i < 2000; ++i) {
    const std::string sentence = haystack.Sentence(i);
    EXPECT_THAT(SplitSentences(sentence), ElementsAre(sentence));
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(sentence.front())));
    EXPECT_EQ(sentence.find_first_of("0123456789%"), std::string::npos) << sentence;
    EXPECT_EQ(sentence.find("magic"), std::string::npos);
    all.insert(sentence);
  }
  EXPECT_GT(all.size(), 1980u);
  EXPECT_EQ(haystack.Sentence(5), Haystack(1).Sentence(5));
  EXPECT_NE(haystack.Sentence(5), Haystack(2).Sentence(5));
}

TEST(Words, AreDifferentLowerCaseWords) {
  std::set<std::string_view> all;
  for (const auto& list : {Adjectives(), Nouns(), Verbs()}) {
    for (const std::string_view word : list) {
      EXPECT_TRUE(all.insert(word).second) << word;
      EXPECT_TRUE(std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; })) << word;
    }
  }
}

}  // namespace
}  // namespace kvasir::eval
