// Sentences: those of a text that the user gives, or made-up ones.
//
// The tasks of RULER hide their needles in essays. We may not ship those, and need not: what makes a haystack hard is
// ordinary sentences that differ from the needle. The built-in ones fill a dozen patterns from the word lists, about
// 10^9 different sentences, none of which holds a digit or the word "magic", so that a needle is never there by chance.
#include "eval/haystack.h"

#include <array>
#include <cctype>

#include "base/check.h"
#include "eval/dice.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr uint64_t kEndless = uint64_t{1} << 40;

// %a an adjective, %n a noun, %v a verb.
constexpr auto kPatterns = std::to_array<std::string_view>({
    "The %a %n used to %v beside the %n.",
    "Nobody in the %n could %v as well as the %n.",
    "After the rain, every %n near the %n looked %a.",
    "It is hard to %v when the %n is %a and the %n is %a.",
    "They went on to %v until the %n was %a again.",
    "My neighbour keeps a %a %n behind the %n.",
    "If you %v too early, the %n may turn %a.",
    "A %n is seldom as %a as a %n.",
    "We learned to %v from a %a old %n.",
    "Some said that the %n would %v, but the %n remained %a.",
    "On quiet evenings the %n and the %n were equally %a.",
    "To %v a %n takes patience, and to %v a %a one takes more.",
    "The road to the %n passes a %a %n and a small %n.",
    "Why would anyone %v under such a %a %n?",
});

std::string Fill(std::string_view pattern, Dice& dice) {
  std::string sentence;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      sentence += pattern[i];
      continue;
    }
    const char kind = pattern[++i];
    sentence += dice.Pick(kind == 'a' ? Adjectives() : kind == 'n' ? Nouns() : Verbs());
  }
  return sentence;
}

bool IsSpace(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

// Bytes of other alphabets count as letters.
bool IsWordByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0;
}

}  // namespace

std::vector<std::string> SplitSentences(std::string_view text) {
  std::vector<std::string> sentences;
  std::string sentence;
  bool has_word = false;
  const auto finish = [&] {
    while (!sentence.empty() && sentence.back() == ' ') sentence.pop_back();
    if (has_word) sentences.push_back(sentence);
    sentence.clear();
    has_word = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (IsSpace(c)) {
      if (!sentence.empty() && sentence.back() != ' ') sentence += ' ';
      continue;
    }
    sentence += c;
    has_word = has_word || IsWordByte(c);
    const bool ends_word = i + 1 == text.size() || IsSpace(text[i + 1]);
    if (ends_word && (c == '.' || c == '!' || c == '?') && has_word) finish();
  }
  finish();
  return sentences;
}

Haystack::Haystack(std::vector<std::string> sentences) : sentences_(std::move(sentences)) {
  KV_CHECK(!sentences_.empty());
}

uint64_t Haystack::period() const {
  return sentences_.empty() ? kEndless : sentences_.size();
}

std::string Haystack::Sentence(uint64_t number) const {
  if (!sentences_.empty()) return sentences_[number % sentences_.size()];
  Dice dice = Dice::For(seed_, "sentence", number);
  const std::string_view pattern = dice.Pick(kPatterns);
  return Fill(pattern, dice);
}

}  // namespace kvasir::eval
