// Common and frequent words: questions that no single place of the text answers, so that all of it has to be kept.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "eval/ruler_task.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr int kCommonWords = 10;
constexpr int kShortContext = 4096;  // below it the lists are thinner, or they would not fit
constexpr double kZetaOf2 = 1.6449340668482264;
constexpr int kCodeLetters = 6;
constexpr int kTokensPerCode = 50;  // of the context, for each different coded word
constexpr int kAskedCodes = 3;
constexpr int kCodesToTellApart = 5;
constexpr std::string_view kDots = "...";

// Words in random order without end: first the plain ones, then pairs such as "amber-anchor".
class WordSource {
 public:
  explicit WordSource(Dice& dice) : dice_(dice) {
    for (const auto& list : {Adjectives(), Nouns(), Verbs()}) words_.insert(words_.end(), list.begin(), list.end());
    dice.Shuffle(words_);
  }
  std::string Next() {
    if (next_ < words_.size()) return std::string(words_[next_++]);
    for (;;) {
      const std::string_view adjective = dice_.Pick(Adjectives());
      std::string pair = fmt::format("{}-{}", adjective, dice_.Pick(Nouns()));
      if (pairs_.insert(pair).second) return pair;
    }
  }

 private:
  Dice& dice_;
  std::vector<std::string_view> words_;
  size_t next_ = 0;
  std::set<std::string> pairs_;
};

struct WordCounts {
  int common;  // how often each of the common words stands there
  int others;
};

struct WordList {
  std::vector<RulerFact> common;
  std::string text;
};

WordList DrawList(WordSource& words, Dice& dice, int n_others, WordCounts counts) {
  WordList list;
  std::vector<std::string> entries;
  for (int i = 0; i < kCommonWords; ++i) {
    list.common.push_back({words.Next()});
    entries.insert(entries.end(), static_cast<size_t>(counts.common), list.common.back().text);
  }
  for (int i = 0; i < n_others; ++i) entries.insert(entries.end(), static_cast<size_t>(counts.others), words.Next());
  dice.Shuffle(entries);
  for (size_t i = 0; i < entries.size(); ++i) {
    list.text += fmt::format("{}{}. {}", i == 0 ? "" : " ", i + 1, entries[i]);
  }
  return list;
}

RulerText AskForCommon(const WordList& list) {
  RulerText text;
  text.context = fmt::format(
      "Below is a numbered list of words. Some of the words stand in it more often than others; keep in mind which "
      "ones.\n{}",
      list.text);
  text.question = fmt::format("\nQuestion: Which {} words stand most often in the list above?", kCommonWords);
  text.answer_prefix = fmt::format(" Answer: The {} words that stand most often in the list are:", kCommonWords);
  text.facts = list.common;
  return text;
}

}  // namespace

RulerText MakeCommonWords(Dice dice, int size, const RulerFrame& frame) {
  WordSource words(dice);
  const bool is_short = frame.context_tokens < kShortContext;
  const WordList solved = is_short ? DrawList(words, dice, 10, {.common = 3, .others = 1})
                                   : DrawList(words, dice, 30, {.common = 10, .others = 3});
  const RulerText example = AskForCommon(solved);
  const WordCounts counts = is_short ? WordCounts{.common = 6, .others = 1} : WordCounts{.common = 30, .others = 3};
  RulerText text = AskForCommon(DrawList(words, dice, size, counts));
  std::string before = example.context + example.question + example.answer_prefix;
  for (size_t i = 0; i < example.facts.size(); ++i) before += fmt::format(" {}. {}", i + 1, example.facts[i].text);
  text.context = before + "\n" + text.context;
  return text;
}

RulerText MakeFrequentWords(Dice dice, int size, const RulerFrame& frame) {
  const int different = std::max(kCodesToTellApart, frame.context_tokens / kTokensPerCode);
  std::set<std::string> taken;
  std::vector<std::string> entries;
  RulerText text;
  for (int rank = 1; rank <= different; ++rank) {
    std::string code;
    do {
      code.clear();
      for (int i = 0; i < kCodeLetters; ++i) code += static_cast<char>('a' + dice.Below(26));
    } while (!taken.insert(code).second);
    const auto count = static_cast<size_t>(std::floor(size / (kZetaOf2 * rank * rank)));
    entries.insert(entries.end(), count, rank == 1 ? std::string(kDots) : code);
    if (rank > 1 && rank <= 1 + kAskedCodes) text.facts.push_back({code});
  }
  dice.Shuffle(entries);
  std::string coded;
  for (const std::string& entry : entries) (coded += coded.empty() ? "" : " ") += entry;
  text.context = fmt::format(
      "The text below consists of coded words. Keep track of how often each of them appears in it.\n{}", coded);
  text.question = fmt::format(
      "\nQuestion: Leave the dots '{}' aside. Which three coded words appear most often in the text above?", kDots);
  text.answer_prefix = " Answer: The three coded words that appear most often in the text above are:";
  return text;
}

}  // namespace kvasir::eval
