#include "eval/ruler_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

namespace kvasir::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const Haystack kHaystack(1);

const RulerTask& TaskNamed(std::string_view name) {
  for (const RulerTask& task : RulerTaskTable()) {
    if (task.name == name) return task;
  }
  ADD_FAILURE() << name;
  return RulerTaskTable()[0];
}

RulerText Make(std::string_view name, int size, uint64_t sample = 0, int context = 4096) {
  const RulerFrame frame{.haystack = kHaystack, .context_tokens = context};
  return TaskNamed(name).make(Dice::For(1, name, sample), size, frame);
}

size_t CountOf(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// What stands behind the last newline of a context.
std::string LastLine(const RulerText& text) {
  return text.context.substr(text.context.rfind('\n') + 1);
}

TEST(RulerTask, TheSameDrawsGiveTheSameText) {
  for (const RulerTask& task : RulerTaskTable()) {
    const int size = task.least_size + 20;
    const RulerText text = Make(task.name, size);
    EXPECT_EQ(text.context, Make(task.name, size).context) << task.name;
    EXPECT_EQ(text.question, Make(task.name, size).question);
    EXPECT_NE(text.context, Make(task.name, size, 1).context) << task.name;
    EXPECT_THAT(text.question, StartsWith("\n"));
    EXPECT_THAT(text.answer_prefix, StartsWith(" "));
    EXPECT_NE(text.answer_prefix.back(), ' ');
  }
}

TEST(RulerTask, FactsDoNotDependOnTheSizeAndAreInTheContextOnly) {
  for (const RulerTask& task : RulerTaskTable()) {
    const RulerText small = Make(task.name, task.least_size);
    const RulerText large = Make(task.name, task.least_size + 100);
    ASSERT_FALSE(small.facts.empty());
    ASSERT_EQ(small.facts.size(), large.facts.size());
    EXPECT_LT(small.context.size(), large.context.size());
    for (size_t i = 0; i < small.facts.size(); ++i) {
      EXPECT_EQ(small.facts[i].text, large.facts[i].text);
      EXPECT_EQ(small.facts[i].depth, large.facts[i].depth);
      EXPECT_THAT(large.context, HasSubstr(small.facts[i].text));
      EXPECT_EQ((large.question + large.answer_prefix).find(small.facts[i].text), std::string::npos) << task.name;
    }
  }
}

TEST(RulerTask, NeedlesStandAtTheirDepth) {
  for (const char* name : {"niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multikey_2",
                           "niah_multikey_3", "niah_multivalue", "niah_multiquery", "vt"}) {
    for (uint64_t sample = 0; sample < 20; ++sample) {
      const RulerText text = Make(name, 200, sample);
      const size_t start = text.context.find("following text");
      for (const RulerFact& fact : text.facts) {
        const size_t at = text.context.find(fact.text);
        const double place = static_cast<double>(at - start) / static_cast<double>(text.context.size() - start);
        ASSERT_GE(fact.depth, 0);
        ASSERT_LE(fact.depth, 1);
        EXPECT_NEAR(place, fact.depth, 0.07) << name << " " << sample;
      }
    }
  }
}

TEST(RulerTask, DepthsCoverTheWholeText) {
  std::set<double> depths;
  for (uint64_t sample = 0; sample < 400; ++sample) depths.insert(Make("niah_single_1", 1, sample).facts[0].depth);
  EXPECT_EQ(depths.size(), 40u);
  EXPECT_EQ(*depths.begin(), 0);
  EXPECT_EQ(*depths.rbegin(), 1);
}

TEST(RulerTask, OneNeedleIsAskedForInTheSingular) {
  const RulerText text = Make("niah_single_1", 3);
  EXPECT_THAT(text.context, StartsWith("A special magic number is hidden within the following text."));
  EXPECT_THAT(text.question, StartsWith("\nWhat is the special magic number for "));
  EXPECT_THAT(text.answer_prefix, ::testing::EndsWith("mentioned in the provided text is"));
  EXPECT_EQ(CountOf(text.context, kNoiseLine), 3u);
  EXPECT_EQ(CountOf(text.context, "One of the special magic numbers for "), 1u);
  EXPECT_THAT(text.context, HasSubstr(" is: " + text.facts[0].text + "."));
  EXPECT_EQ(text.facts[0].text.size(), 7u);
}

TEST(RulerTask, KindsAndNumbersOfNeedles) {
  const auto needles = [](const RulerText& text) { return CountOf(text.context, "One of the special magic "); };
  EXPECT_EQ(needles(Make("niah_multikey_1", 10)), 4u);
  EXPECT_EQ(Make("niah_multikey_1", 10).facts.size(), 1u);
  EXPECT_EQ(needles(Make("niah_multikey_2", 10)), 11u);
  EXPECT_EQ(needles(Make("niah_multikey_3", 10)), 11u);
  EXPECT_EQ(needles(Make("niah_multivalue", 10)), 4u);
  EXPECT_EQ(Make("niah_multivalue", 10).facts.size(), 4u);
  EXPECT_EQ(needles(Make("niah_multiquery", 10)), 4u);
  EXPECT_EQ(Make("niah_multiquery", 10).facts.size(), 4u);
  EXPECT_THAT(Make("niah_multiquery", 10).question, HasSubstr(", and "));
  EXPECT_THAT(Make("niah_multivalue", 10).context, StartsWith("Some special magic numbers are hidden"));
  EXPECT_THAT(Make("niah_multivalue", 10).question, StartsWith("\nWhat are all the special magic numbers for "));
  EXPECT_THAT(Make("niah_single_3", 3).facts[0].text,
              ::testing::ContainsRegex("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"));
}

TEST(RulerTask, TheQuestionNamesOneNeedleOnly) {
  for (const char* name : {"niah_multikey_2", "niah_multikey_3"}) {
    const RulerText text = Make(name, 300);
    const std::string before = " for ";
    const size_t begin = text.question.find(before) + before.size();
    const std::string key = text.question.substr(begin, text.question.find(" mentioned") - begin);
    EXPECT_EQ(CountOf(text.context, " for " + key + " is: "), 1u);
    EXPECT_THAT(text.context, HasSubstr(" for " + key + " is: " + text.facts[0].text + "."));
    EXPECT_EQ(CountOf(text.context, text.facts[0].text), 1u);
  }
}

TEST(RulerTask, VariablesFormAChain) {
  const RulerText text = Make("vt", 50);
  ASSERT_EQ(text.facts.size(), 5u);
  const std::string value = text.question.substr(text.question.find("value ") + 6, 5);
  EXPECT_THAT(text.context, HasSubstr("VAR " + text.facts[0].text + " = " + value));
  size_t last = 0;
  for (size_t i = 1; i < 5; ++i) {
    EXPECT_EQ(text.facts[i].text.size(), 5u);
    const size_t at = text.context.find("VAR " + text.facts[i].text + " = VAR " + text.facts[i - 1].text);
    ASSERT_NE(at, std::string::npos);
    EXPECT_GT(at, last);
    last = at;
  }
  // The solved example has a chain of its own.
  EXPECT_EQ(CountOf(text.context, " variables are assigned the value "), 1u);
  EXPECT_EQ(CountOf(text.context, "\n\n"), 3u);
}

TEST(RulerTask, CommonWordsAreMoreCommonThanTheOthers) {
  for (const int context : {2048, 8192}) {
    const int common = context < 4096 ? 6 : 30;
    const int others = context < 4096 ? 1 : 3;
    const RulerText text = Make("cwe", 900, 0, context);
    std::map<std::string, int> counts;
    int number = 0;
    for (const std::string& word : WordsOf(LastLine(text))) {
      if (word.ends_with('.')) {
        EXPECT_EQ(word, std::to_string(++number) + ".");
      } else {
        ++counts[word];
      }
    }
    EXPECT_EQ(counts.size(), 910u);
    ASSERT_EQ(text.facts.size(), 10u);
    for (const RulerFact& fact : text.facts) {
      EXPECT_EQ(counts[fact.text], common);
      counts.erase(fact.text);
    }
    for (const auto& [word, count] : counts) EXPECT_EQ(count, others) << word;
  }
}

TEST(RulerTask, FrequentWordsAreTheThreeMostFrequentBehindTheDots) {
  for (const int size : {TaskNamed("fwe").least_size, 131, 500, 3000}) {
    const RulerText text = Make("fwe", size);
    std::map<std::string, int> counts;
    for (const std::string& word : WordsOf(LastLine(text))) ++counts[word];
    std::vector<std::pair<int, std::string>> ranked;
    for (const auto& [word, count] : counts) ranked.emplace_back(count, word);
    std::sort(ranked.rbegin(), ranked.rend());
    EXPECT_EQ(ranked[0].second, "...");
    ASSERT_EQ(text.facts.size(), 3u);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(ranked[i + 1].second, text.facts[i].text);
    for (size_t i = 0; i < 4; ++i) EXPECT_GT(ranked[i].first, ranked[i + 1].first) << size;
    EXPECT_LE(ranked[0].first, size);
  }
}

TEST(RulerTask, JoinsNamesAsASentenceDoes) {
  const std::vector<std::string> names = {"a", "b", "c"};
  EXPECT_EQ(JoinNames(std::span(names).first(1)), "a");
  EXPECT_EQ(JoinNames(std::span(names).first(2)), "a, and b");
  EXPECT_EQ(JoinNames(names), "a, b, and c");
}

TEST(RulerScore, IsTheShareOfTheStringsFound) {
  const std::vector<RulerFact> facts = {{"1234567"}, {"Quiet-Harbour"}, {"XYZAB"}, {"0000000"}};
  EXPECT_THAT(FindFacts(facts, "It is 1234567. And quiet-harbour, xyzab"), ElementsAre(true, true, true, false));
  EXPECT_EQ(Recall(FindFacts(facts, "It is 1234567. And quiet-harbour, xyzab")), 0.75);
  EXPECT_EQ(Recall(FindFacts(facts, "")), 0);
  EXPECT_EQ(Recall(FindFacts(facts, "123456 7 XYZ AB")), 0);
  EXPECT_EQ(Recall({}), 0);
}

}  // namespace
}  // namespace kvasir::eval
