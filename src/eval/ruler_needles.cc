// Needle in a haystack, in eight variants, and variable tracking: facts scattered over sentences that do not matter.
//
// The generators first draw the facts and where they stand, as shares of the text, and only then the haystack: so the
// search for the size that fills a context moves the same needles apart, and a depth means the same at any length.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "eval/ruler_task.h"
#include "eval/words.h"

namespace kvasir::eval {
namespace {

using Kind = NeedleOptions::Kind;

constexpr int kDepths = 40;  // needles stand at multiples of 1/39
constexpr int kHops = 4;
constexpr int kNameLetters = 5;
constexpr int kExampleNameLetters = 3;
constexpr int kExampleLines = 5;
constexpr std::string_view kHex = "0123456789abcdef";

std::string_view NameOf(Kind kind, bool plural) {
  switch (kind) {
    case Kind::kWords: return plural ? "words" : "word";
    case Kind::kNumbers: return plural ? "numbers" : "number";
    case Kind::kUuids: return plural ? "uuids" : "uuid";
  }
  return "";
}

std::string DrawUuid(Dice& dice) {  // version 4: a digit 4, and one of 8 9 a b
  std::string uuid = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : uuid) {
    if (c == 'x') c = kHex[dice.Below(16)];
    if (c == 'y') c = kHex[8 + dice.Below(4)];
  }
  return uuid;
}

std::string Draw(Kind kind, Dice& dice) {
  switch (kind) {
    case Kind::kWords: {
      const std::string_view adjective = dice.Pick(Adjectives());
      return fmt::format("{}-{}", adjective, dice.Pick(Nouns()));
    }
    case Kind::kNumbers: return fmt::format("{}", 1000000 + dice.Below(9000000));
    case Kind::kUuids: return DrawUuid(dice);
  }
  return "";
}

// One that is not in `taken` yet.
std::string DrawNew(Kind kind, Dice& dice, std::set<std::string>& taken) {
  for (;;) {
    std::string drawn = Draw(kind, dice);
    if (taken.insert(drawn).second) return drawn;
  }
}

std::string Needle(Kind kind, std::string_view key, std::string_view value) {
  return fmt::format("One of the special magic {} for {} is: {}.", NameOf(kind, true), key, value);
}

// A sentence with a place: `depth` 0 before all others, 1 behind them.
struct Placed {
  std::string text;
  double depth;
};

// Puts `placed` (in ascending order of depth) among `lines`.
std::string Mix(const std::vector<std::string>& lines, const std::vector<Placed>& placed, std::string_view separator) {
  std::string text;
  const auto add = [&](std::string_view line) { (text += text.empty() ? "" : separator) += line; };
  const auto place = [&](double depth) {
    return static_cast<size_t>(std::lround(depth * static_cast<double>(lines.size())));
  };
  size_t next = 0;
  for (size_t i = 0; i <= lines.size(); ++i) {
    while (next < placed.size() && place(placed[next].depth) == i) add(placed[next++].text);
    if (i < lines.size()) add(lines[i]);
  }
  return text;
}

std::vector<double> DrawDepths(size_t count, Dice& dice) {
  std::vector<double> depths;
  depths.reserve(count);
  for (const size_t step : dice.Choose(count, kDepths)) depths.push_back(static_cast<double>(step) / (kDepths - 1));
  return depths;
}

// The other sentences. `taken_*` are the keys and values that may not be there.
std::vector<std::string> DrawLines(const NeedleOptions& options, Dice& dice, int size, const Haystack& haystack,
                                   std::set<std::string>& taken_keys, std::set<std::string>& taken_values) {
  std::vector<std::string> lines;
  const uint64_t start = dice.Below(haystack.period());
  for (int i = 0; i < size; ++i) {
    switch (options.haystack) {
      case NeedleOptions::Haystack::kNoise: lines.emplace_back(kNoiseLine); break;
      case NeedleOptions::Haystack::kEssay: lines.push_back(haystack.Sentence(start + static_cast<uint64_t>(i))); break;
      case NeedleOptions::Haystack::kNeedles: {
        const std::string key = DrawNew(options.keys, dice, taken_keys);
        lines.push_back(Needle(options.values, key, DrawNew(options.values, dice, taken_values)));
        break;
      }
    }
  }
  return lines;
}

RulerText AskFor(const NeedleOptions& options, const std::vector<std::string>& queries, std::string_view haystack) {
  const bool plural = options.n_queries * options.n_values > 1;
  const std::string_view things = NameOf(options.values, plural);
  const std::string names = JoinNames(queries);
  RulerText text;
  text.context = fmt::format(
      "{} special magic {} {} hidden within the following text. Make sure to memorize it. I will quiz you about the {} "
      "afterwards.\n{}",
      plural ? "Some" : "A", things, plural ? "are" : "is", things, haystack);
  text.question = fmt::format("\nWhat {} the special magic {} for {} mentioned in the provided text?",
                              plural ? "are all" : "is", things, names);
  text.answer_prefix = fmt::format(" The special magic {} for {} mentioned in the provided text {}", things, names,
                                   plural ? "are" : "is");
  return text;
}

std::string DrawName(int letters, Dice& dice, std::set<std::string>& taken) {
  for (;;) {
    std::string name;
    for (int i = 0; i < letters; ++i) name += static_cast<char>('A' + dice.Below(26));
    if (taken.insert(name).second) return name;
  }
}

// A chain "VAR A = 12345", "VAR B = VAR A " ... among noise.
struct Chain {
  std::vector<RulerFact> names;
  std::string value;
  std::string text;
};

Chain DrawChain(int letters, int lines, Dice& dice) {
  Chain chain{.names = {}, .value = fmt::format("{}", 10000 + dice.Below(89999)), .text = ""};
  std::set<std::string> taken;
  std::vector<double> depths = DrawDepths(kHops + 1, dice);
  std::sort(depths.begin(), depths.end());
  std::vector<Placed> assignments;
  for (const double depth : depths) {
    const std::string name = DrawName(letters, dice, taken);
    assignments.push_back({chain.names.empty() ? fmt::format("VAR {} = {}", name, chain.value)
                                               : fmt::format("VAR {} = VAR {} ", name, chain.names.back().text),
                           depth});
    chain.names.push_back({name, depth});
  }
  chain.text = Mix(std::vector<std::string>(static_cast<size_t>(lines), std::string(kNoiseLine)), assignments, "\n");
  return chain;
}

RulerText AskForVariables(const Chain& chain) {
  RulerText text;
  text.context = fmt::format(
      "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n{}", chain.text);
  text.question =
      fmt::format("\nQuestion: Find all variables that are assigned the value {} in the text above.", chain.value);
  text.answer_prefix = fmt::format(
      " Answer: According to the chain(s) of variable assignment in the text above, {} variables are assigned the "
      "value "
      "{}, they are:",
      chain.names.size(), chain.value);
  text.facts = chain.names;
  return text;
}

}  // namespace

RulerText MakeNeedles(const NeedleOptions& options, Dice dice, int size, const RulerFrame& frame) {
  std::set<std::string> keys;
  std::set<std::string> values;
  const std::vector<double> depths = DrawDepths(static_cast<size_t>(options.n_keys * options.n_values), dice);
  std::vector<Placed> needles;
  std::vector<std::string> queries;
  std::vector<RulerFact> facts;
  for (int k = 0; k < options.n_keys; ++k) {
    const std::string key = DrawNew(options.keys, dice, keys);
    const bool asked = k < options.n_queries;  // depths are in random order, so the asked-for keys stand anywhere
    if (asked) queries.push_back(key);
    for (int v = 0; v < options.n_values; ++v) {
      const std::string value = DrawNew(options.values, dice, values);
      const double depth = depths[needles.size()];
      needles.push_back({Needle(options.values, key, value), depth});
      if (asked) facts.push_back({value, depth});
    }
  }
  std::sort(needles.begin(), needles.end(), [](const Placed& a, const Placed& b) { return a.depth < b.depth; });
  const std::vector<std::string> lines = DrawLines(options, dice, size, frame.haystack, keys, values);
  const bool essay = options.haystack == NeedleOptions::Haystack::kEssay;
  RulerText text = AskFor(options, queries, Mix(lines, needles, essay ? " " : "\n"));
  text.facts = std::move(facts);
  return text;
}

RulerText MakeVariableTracking(Dice dice, int size, const RulerFrame&) {
  const RulerText example = AskForVariables(DrawChain(kExampleNameLetters, kExampleLines, dice));
  RulerText text = AskForVariables(DrawChain(kNameLetters, size, dice));
  std::string solved = example.context + example.question + example.answer_prefix;
  for (const RulerFact& name : example.facts) solved += " " + name.text;
  text.context = solved + "\n\n" + text.context;
  return text;
}

}  // namespace kvasir::eval
