#include "eval/ruler_task.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace kvasir::eval {
namespace {

using Options = NeedleOptions;

// A needle task is MakeNeedles with options, as a plain function.
template <Options::Haystack kHaystack, Options::Kind kKeys, Options::Kind kValues, int kNKeys = 1, int kNValues = 1,
          int kNQueries = 1>
RulerText Needles(Dice dice, int size, const RulerFrame& frame) {
  return MakeNeedles({.haystack = kHaystack,
                      .keys = kKeys,
                      .values = kValues,
                      .n_keys = kNKeys,
                      .n_values = kNValues,
                      .n_queries = kNQueries},
                     dice, size, frame);
}

constexpr auto kNoise = Options::Haystack::kNoise;
constexpr auto kEssay = Options::Haystack::kEssay;
constexpr auto kOthers = Options::Haystack::kNeedles;
constexpr auto kWords = Options::Kind::kWords;
constexpr auto kNumbers = Options::Kind::kNumbers;
constexpr auto kUuids = Options::Kind::kUuids;

// With fewer words the most frequent ones of fwe are no longer different in number.
constexpr int kLeastCodedWords = 100;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

}  // namespace

std::span<const RulerTask> RulerTaskTable() {
  static constexpr auto kTasks = std::to_array<RulerTask>({
      {"niah_single_1", 128, 1, Needles<kNoise, kWords, kNumbers>},
      {"niah_single_2", 128, 1, Needles<kEssay, kWords, kNumbers>},
      {"niah_single_3", 128, 1, Needles<kEssay, kWords, kUuids>},
      {"niah_multikey_1", 128, 1, Needles<kEssay, kWords, kNumbers, 4>},
      {"niah_multikey_2", 128, 1, Needles<kOthers, kWords, kNumbers>},
      {"niah_multikey_3", 128, 1, Needles<kOthers, kUuids, kUuids>},
      {"niah_multivalue", 128, 1, Needles<kEssay, kWords, kNumbers, 1, 4>},
      {"niah_multiquery", 128, 1, Needles<kEssay, kWords, kNumbers, 4, 1, 4>},
      {"vt", 30, 1, MakeVariableTracking},
      {"cwe", 120, 10, MakeCommonWords},
      {"fwe", 50, kLeastCodedWords, MakeFrequentWords},
  });
  return kTasks;
}

std::string JoinNames(std::span<const std::string> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? ", and " : ", ";
    text += names[i];
  }
  return text;
}

std::vector<bool> FindFacts(std::span<const RulerFact> facts, std::string_view answer) {
  const std::string lower = Lower(answer);
  std::vector<bool> found;
  found.reserve(facts.size());
  for (const RulerFact& fact : facts) found.push_back(lower.find(Lower(fact.text)) != std::string::npos);
  return found;
}

double Recall(const std::vector<bool>& found) {
  if (found.empty()) return 0;
  return static_cast<double>(std::count(found.begin(), found.end(), true)) / static_cast<double>(found.size());
}

}  // namespace kvasir::eval
