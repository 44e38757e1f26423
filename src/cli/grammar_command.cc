// kvasir grammar: whether a text has the form that a schema, an expression or a grammar asks for, and what such texts
// look like.
//
// Samples are random walks through the masks that a model would see: at each step any allowed token may come. A uniform
// choice among fifty thousand tokens would hardly ever close a string, so a quarter of the steps, and every step of a
// text that got long, prefer tokens that begin with what closes something.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <istream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>

#include "base/check.h"
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

constexpr const char* kExamples =
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

// One random text; none if it did not end in time.
Result<std::optional<std::string>> Walk(const Tokenizer& tokenizer, const Grammar& grammar, std::mt19937_64& random) {
  KV_ASSIGN(const std::shared_ptr<TokenConstraint> constraint, Constrain(tokenizer, grammar));
  std::string text;
  for (int step = 0; step < kLongestWalk; ++step) {
    KV_ASSIGN(const std::span<const uint32_t> mask, constraint->Mask());
    std::vector<int32_t> allowed;
    std::vector<int32_t> closing;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
      if ((mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1U) == 0) continue;
      allowed.push_back(id);
      const std::string piece = tokenizer.IsEndOfGeneration(id) ? "" : tokenizer.Piece(id);
      if (piece.empty() || piece == "\"" || piece == "}" || piece == "]") closing.push_back(id);
    }
    const bool close = !closing.empty() && (step > kCalmTokens || random() % 4 == 0);
    const std::vector<int32_t>& from = close ? closing : allowed;
    const int32_t token = from[random() % from.size()];
    if (tokenizer.IsEndOfGeneration(token)) return text;
    text += tokenizer.Piece(token);
    constraint->Accept(token);
  }
  return std::nullopt;
}

Result<Json> Samples(const Tokenizer& tokenizer, const Grammar& grammar, int count, std::mt19937_64& random) {
  Json texts = Json::array();
  for (int i = 0; i < count; ++i) {
    KV_ASSIGN(const std::optional<std::string> text, Walk(tokenizer, grammar, random));
    texts.push_back(text ? Json(*text) : Json(nullptr));
  }
  return texts;
}

Result<Grammar> GrammarOfCase(const Json& given) {
  if (given.contains("schema")) return Grammar::FromJsonSchema(given["schema"].dump());
  for (const auto& [name, read] : {std::pair{"regex", &Grammar::FromRegex}, std::pair{"gbnf", &Grammar::FromGbnf}}) {
    if (given.contains(name) && given[name].is_string()) return read(given[name].get<std::string>());
  }
  return Fail(ErrorCode::kInvalidArgument, "a case needs schema, or regex or gbnf as a string");
}

Result<Json> RunCase(const Json& given, const Tokenizer* tokenizer, std::mt19937_64& random) {
  KV_ASSIGN(const Grammar grammar, GrammarOfCase(given));
  Json result = {{"matches", Json::array()}};
  for (const Json& text : given.value("texts", Json::array())) {
    if (!text.is_string()) return Fail(ErrorCode::kInvalidArgument, "texts must hold strings");
    KV_ASSIGN(const bool matches, grammar.Matches(text.get<std::string>()));
    result["matches"].push_back(matches);
  }
  const Json count = given.value("samples", Json(0));
  if (!count.is_number_integer()) return Fail(ErrorCode::kInvalidArgument, "samples must be a whole number");
  if (count.get<int>() > 0 && tokenizer == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "samples need a model: give one with -m");
  }
  if (tokenizer != nullptr) {
    KV_ASSIGN(result["samples"], Samples(*tokenizer, grammar, count.get<int>(), random));
  }
  return result;
}

Result<int> RunCases(const std::string& input, const Tokenizer* tokenizer, std::mt19937_64& random) {
  std::istringstream lines(input);
  for (std::string line; std::getline(lines, line);) {
    const Json given = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto result = given.is_object() ? RunCase(given, tokenizer, random)
                                          : Fail(ErrorCode::kInvalidArgument, "the line is no JSON object");
    WriteOut((result ? *result : Json({{"error", result.error().message}})).dump() + "\n");
  }
  return 0;
}

Result<int> RunGrammar(const GrammarOptions& options) {
  std::unique_ptr<Tokenizer> tokenizer;
  if (!options.model.empty()) {
    KV_ASSIGN(tokenizer, Tokenizer::Load(options.model));
  }
  std::mt19937_64 random(static_cast<uint64_t>(options.seed));
  if (options.cases) {
    KV_ASSIGN(const std::string input, ReadStandardInput());
    return RunCases(input, tokenizer.get(), random);
  }
  const Grammar& grammar = *options.form.grammar;
  if (options.samples > 0) {
    KV_ASSIGN(const Json texts, Samples(*tokenizer, grammar, options.samples, random));
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
  app.add_flag("--cases", options->cases, "standard input holds cases, one JSON object per line");
  app.footer(kExamples);
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
