// kvasir grammar: whether a text has the form that a schema, an expression or a grammar asks for, and what such texts
// look like.
//
// Samples are random walks through the masks that a model would see: at each step any allowed token may come. A uniform
// choice among fifty thousand tokens would hardly ever close a string, so a quarter of the steps, and every step of a
// text that got long, prefer tokens that begin with what closes something.
#include <fmt/format.h>

#include <istream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <vector>

#include "base/check.h"
#include "base/parse_json.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/generation_flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "kvasir/grammar.h"
#include "kvasir/tokenizer.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kGrammarExamples =
    "Examples:\n"
    "  kvasir grammar --json-schema person.json < answer.json\n"
    "  kvasir grammar --regex \"[a-c]{2}\" --samples 5 -m smollm2\n"
    "  kvasir grammar --cases -m smollm2 < cases.jsonl > results.jsonl\n"
    "\n"
    "Prints yes or no for the text of standard input and ends with 0 or 1. With --samples it prints random texts that\n"
    "the form allows, each as a JSON string; null is one that did not end in time. With --cases each line of standard\n"
    "input is an object with schema, regex or gbnf, and texts (a list) or samples (a number) or both; each line of "
    "the\n"
    "output has matches and samples, or the error.";

constexpr int kCalmTokens = 60;    // after so many a walk heads for the end
constexpr int kLongestWalk = 400;  // tokens

struct GrammarOptions {
  GenerationOptions form;
  std::string model;
  int samples = 0;
  int seed = 1;
  bool cases = false;
};

// Random texts of a model's tokens.
class Walker {
 public:
  Walker(const Tokenizer& tokenizer, int seed) : tokenizer_(tokenizer), random_(static_cast<uint64_t>(seed)) {
    closes_.reserve(static_cast<size_t>(tokenizer.vocab_size()));
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
      const std::string piece = tokenizer.IsEndOfGeneration(id) ? "" : tokenizer.Piece(id);
      closes_.push_back(piece.empty() || piece == "\"" || piece == "}" || piece == "]");
    }
  }

  // `count` texts; null stands for one that did not end in time.
  Result<Json> Samples(const Grammar& grammar, int count) {
    Json texts = Json::array();
    for (int i = 0; i < count; ++i) {
      KV_ASSIGN(const std::optional<std::string> text, Walk(grammar));
      texts.push_back(text ? Json(*text) : Json(nullptr));
    }
    return texts;
  }

 private:
  Result<std::optional<std::string>> Walk(const Grammar& grammar) {
    KV_ASSIGN(const std::shared_ptr<TokenConstraint> constraint, Constrain(tokenizer_, grammar));
    std::string text;
    for (int step = 0; step < kLongestWalk; ++step) {
      KV_ASSIGN(const std::span<const uint32_t> mask, constraint->Mask());
      const int32_t token = Choose(mask, step);
      if (tokenizer_.IsEndOfGeneration(token)) return text;
      text += tokenizer_.Piece(token);
      constraint->Accept(token);
    }
    return std::nullopt;
  }

  int32_t Choose(std::span<const uint32_t> mask, int step) {
    allowed_.clear();
    closing_.clear();
    for (size_t id = 0; id < closes_.size(); ++id) {
      if ((mask[id / 32] >> (id % 32) & 1U) == 0) continue;
      allowed_.push_back(static_cast<int32_t>(id));
      if (closes_[id]) closing_.push_back(static_cast<int32_t>(id));
    }
    const bool close = !closing_.empty() && (step > kCalmTokens || random_() % 4 == 0);
    const std::vector<int32_t>& from = close ? closing_ : allowed_;
    return from[random_() % from.size()];
  }

  const Tokenizer& tokenizer_;
  std::mt19937_64 random_;
  std::vector<bool> closes_;      // by token: ends the text, or is what closes something
  std::vector<int32_t> allowed_;  // at this step
  std::vector<int32_t> closing_;
};

Result<Grammar> GrammarOfCase(const Json& given) {
  if (given.contains("schema")) return Grammar::FromJsonSchema(given["schema"].dump());
  for (const auto& [name, read] : {std::pair{"regex", &Grammar::FromRegex}, std::pair{"gbnf", &Grammar::FromGbnf}}) {
    if (given.contains(name) && given[name].is_string()) return read(given[name].get<std::string>());
  }
  return Fail(ErrorCode::kInvalidArgument, "a case needs schema, or regex or gbnf as a string");
}

// `walker` is null where no model was given.
Result<Json> RunCase(const Json& given, Walker* walker) {
  KV_ASSIGN(const Grammar grammar, GrammarOfCase(given));
  Json result = {{"matches", Json::array()}};
  for (const Json& text : given.value("texts", Json::array())) {
    if (!text.is_string()) return Fail(ErrorCode::kInvalidArgument, "texts must hold strings");
    KV_ASSIGN(const bool matches, grammar.Matches(text.get<std::string>()));
    result["matches"].push_back(matches);
  }
  const Json count = given.value("samples", Json(0));
  if (!count.is_number_integer()) return Fail(ErrorCode::kInvalidArgument, "samples must be a whole number");
  if (count.get<int>() > 0 && walker == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "samples need a model: give one with -m");
  }
  if (walker != nullptr) {
    KV_ASSIGN(result["samples"], walker->Samples(grammar, count.get<int>()));
  }
  return result;
}

Result<int> RunCases(const std::string& input, Walker* walker) {
  std::istringstream lines(input);
  for (std::string line; std::getline(lines, line);) {
    const auto given = base::ParseJson<Json>(line);
    const auto result = !given ? Fail(ErrorCode::kInvalidArgument, "the line is no JSON: " + given.error().message)
                        : given->is_object() ? RunCase(*given, walker)
                                             : Fail(ErrorCode::kInvalidArgument, "the line is no JSON object");
    WriteOut((result ? *result : Json({{"error", result.error().message}})).dump() + "\n");
  }
  return 0;
}

Result<int> RunGrammar(const GrammarOptions& options) {
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<Walker> walker;
  if (!options.model.empty()) {
    KV_ASSIGN(tokenizer, Tokenizer::Load(options.model));
    walker.emplace(*tokenizer, options.seed);
  }
  if (options.cases) {
    KV_ASSIGN(const std::string input, ReadStandardInput());
    return RunCases(input, walker ? &*walker : nullptr);
  }
  const Grammar& grammar = *options.form.grammar;
  if (options.samples > 0) {
    KV_ASSIGN(const Json texts, walker->Samples(grammar, options.samples));
    for (const Json& text : texts) WriteOut(text.dump() + "\n");
    return 0;
  }
  KV_ASSIGN(std::string text, ReadStandardInput());
  if (text.ends_with('\n')) text.pop_back();  // that ends a file
  KV_ASSIGN(const bool matches, grammar.Matches(text));
  WriteOut(matches ? "yes\n" : "no\n");
  return matches ? 0 : 1;
}

}  // namespace

Action DefineGrammar(CLI::App& app) {
  auto options = std::make_shared<GrammarOptions>();
  AddFormFlags(app, options->form, "Form");
  AddText(app, "-m,--model", "MODEL", "whose tokens samples are made of", options->model);
  AddCount(app, "--samples", "print N random texts instead of judging one", options->samples, 1, 100'000);
  AddCount(app, "--seed", "of the samples (default 1)", options->seed, 0);
  AddSwitch(app, "--cases", options->cases, "standard input holds cases, one JSON object per line");
  SetFooter(app, kGrammarExamples);
  return [&app, options]() -> Result<int> {
    if (!options->cases && !options->form.grammar) {
      return UsageError(app, "there is no form: give one with --json-schema, --regex or --grammar");
    }
    if (options->samples > 0 && options->model.empty()) {
      return UsageError(app, "samples are made of a model's tokens: name one with -m");
    }
    return RunGrammar(*options);
  };
}

}  // namespace kvasir::cli
