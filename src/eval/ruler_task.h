// The tasks of RULER: long texts with a question whose answer can be checked by looking for strings.
//
// Hsieh et al., "RULER: What's the Real Context Size of Your Long-Context Language Models?" (COLM 2024, arXiv
// 2404.06654). A task is a pure function of draws and a size; ruler_prompt.h finds the size that fills a context.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/dice.h"
#include "eval/haystack.h"

namespace kvasir::eval {

/// A string that a right answer holds.
struct RulerFact {
  std::string text;
  double depth = -1;  ///< Where it stands in the text: 0 the beginning, 1 the end; -1 where it has no one place.
};

/// One question about a text.
struct RulerText {
  std::string context;        ///< Instruction and haystack: all that is read before the question is known.
  std::string question;       ///< Begins with a newline.
  std::string answer_prefix;  ///< The beginning of the answer, which the model goes on from. Begins with a space.
  std::vector<RulerFact> facts;
};

/// What a task's texts depend on besides the draws.
struct RulerFrame {
  const Haystack& haystack;
  int context_tokens = 0;
};

struct RulerTask {
  std::string_view name;
  int answer_tokens;  ///< To generate at most.
  int least_size;     ///< Of the sizes that `make` takes.
  /// Makes a text of `size` sentences, lines or words. The facts are the same for each size.
  RulerText (*make)(Dice dice, int size, const RulerFrame& frame);
};

/// All tasks, in RULER's order.
[[nodiscard]] std::span<const RulerTask> RulerTaskTable();

// The generators, by kind of task.

struct NeedleOptions {
  enum class Haystack { kNoise, kEssay, kNeedles };
  enum class Kind { kWords, kNumbers, kUuids };
  Haystack haystack = Haystack::kEssay;
  Kind keys = Kind::kWords;
  Kind values = Kind::kNumbers;
  int n_keys = 1;     ///< Needles with different keys.
  int n_values = 1;   ///< Needles for each key.
  int n_queries = 1;  ///< Keys that are asked for.
};
/// Needle in a haystack: "One of the special magic numbers for KEY is: VALUE." among `size` other sentences.
[[nodiscard]] RulerText MakeNeedles(const NeedleOptions& options, Dice dice, int size, const RulerFrame& frame);

/// Variable tracking: a chain of assignments among `size` lines of noise, behind a small solved example.
[[nodiscard]] RulerText MakeVariableTracking(Dice dice, int size, const RulerFrame& frame);

/// Common words: a numbered list in which ten words stand more often than `size` others, behind a small solved example.
[[nodiscard]] RulerText MakeCommonWords(Dice dice, int size, const RulerFrame& frame);

/// Frequent words: `size` coded words with the frequencies of a zeta distribution; the most frequent is dots.
[[nodiscard]] RulerText MakeFrequentWords(Dice dice, int size, const RulerFrame& frame);

/// "a", "a, and b", "a, b, and c".
[[nodiscard]] std::string JoinNames(std::span<const std::string> names);

/// A line of the repetitive haystack.
inline constexpr std::string_view kNoiseLine =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

/// Which of `facts` are in `answer`, letter case aside (ASCII).
[[nodiscard]] std::vector<bool> FindFacts(std::span<const RulerFact> facts, std::string_view answer);
/// The share of `found` that is true: RULER's score of an answer, 0..1.
[[nodiscard]] double Recall(const std::vector<bool>& found);

}  // namespace kvasir::eval
