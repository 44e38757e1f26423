// What a mask costs: an answer is spelled token by token, and each mask is timed.
//
// Run: kvasir_grammar_bench. "first" is a request with a grammar that was never used, "warm" a later one that says
// something else than the ones before; p50, p99 and max are microseconds per mask, compile is milliseconds.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grammar/constraint.h"
#include "grammar/json_schema.h"
#include "grammar/json_text.h"
#include "grammar/store.h"
#include "text/tokenizer.h"
#include "text/vocabulary_from_gguf_test_support.h"

namespace kvasir::grammar {
namespace {

using Clock = std::chrono::steady_clock;

const text::Tokenizer* TokenizerOf(const std::string& name) {
  static std::map<std::string, std::unique_ptr<text::Tokenizer>> loaded;
  auto& tokenizer = loaded[name];
  if (tokenizer == nullptr) {
    auto vocabulary = text::GgufVocabularyReader::Read(text::ModelPathForTest(name + ".gguf"));
    if (!vocabulary) return nullptr;
    auto made = text::Tokenizer::Create(std::move(*vocabulary));
    if (made) tokenizer = std::move(*made);
  }
  return tokenizer.get();
}

struct Form {
  Expr expr;
  std::vector<std::string> answers;  // the first ones warm up, the last is measured
};

Form AnyObject() {
  return {
      AnyJsonObject(),
      {R"({"name": "Ann", "tags": ["a", "b c"], "nested": {"x": [1, 2.5, {"y": null}]}, "ok": true})",
       R"({"list": [{"a": [[1]]}, "long text with many words, quotes \"inside\" and \n lines"], "n": -12.5e3, "z": {}})",
       R"({"title": "The quick brown fox jumps over the lazy dog", "pages": 312, "authors": [{"first": "Zoë", "last": "Ōe"}, {"first": "Bo"}], "sold": false, "deep": [[[{"k": ["v"]}]]]})"}};
}

Form Person() {
  auto expr = ParseJsonSchema(R"({"type": "object", "additionalProperties": false,
    "required": ["name", "born", "emails", "address", "score"], "properties": {
      "name": {"type": "string", "minLength": 1, "maxLength": 200},
      "born": {"type": "string", "format": "date"},
      "emails": {"type": "array", "items": {"type": "string", "maxLength": 80}, "maxItems": 5},
      "address": {"$ref": "#/$defs/address"}, "home": {"$ref": "#/$defs/address"},
      "kind": {"enum": ["student", "teacher", "guest"]},
      "score": {"type": "number", "minimum": 0, "maximum": 100}},
    "$defs": {"address": {"type": "object", "required": ["street", "zip"], "additionalProperties": false,
      "properties": {"street": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}}}}})");
  return {
      std::move(*expr),
      {R"({"name": "Ann", "born": "1999-01-02", "emails": [], "address": {"street": "Main 1", "zip": "12345"}, "score": 1})",
       R"({"name": "Bob the builder of houses", "born": "2001-12-31", "emails": ["a@b.c", "x"], "address": {"street": "Hill", "zip": "00000"}, "home": {"street": "x", "zip": "99999"}, "kind": "guest", "score": 99.5})",
       R"({"name": "Zoë Ōe, of the very long name", "born": "1987-06-15", "emails": ["zoe@example.org", "z@example.com"], "address": {"street": "Långgatan 12 b, third floor", "zip": "54321"}, "kind": "teacher", "score": 42.125})"}};
}

double Microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

// The times of all masks of one answer.
std::vector<double> Spell(const std::shared_ptr<TokenGrammar>& grammar, const text::Tokenizer& tokenizer,
                          const std::string& answer, benchmark::State& state) {
  Constraint constraint(grammar, tokenizer.vocab_size());
  std::vector<double> times;
  for (const int32_t token : tokenizer.Encode(answer, {.add_special = false})) {
    const auto start = Clock::now();
    const auto mask = constraint.Mask();
    times.push_back(Microseconds(Clock::now() - start));
    // SentencePiece puts a space before the text, which no form here begins with.
    if (times.size() == 1 && tokenizer.Piece(token).starts_with(' ')) continue;
    if (!mask || ((*mask)[static_cast<size_t>(token) / 32] >> (token % 32) & 1U) == 0) {
      state.SkipWithError("an answer of the benchmark is not in its form");
      return times;
    }
    constraint.Accept(token);
  }
  return times;
}

void Report(benchmark::State& state, const std::string& name, std::vector<double> times) {
  if (times.empty()) return;
  std::ranges::sort(times);
  state.counters[name + "_p50"] = times[times.size() / 2];
  state.counters[name + "_p99"] = times[times.size() * 99 / 100];
  state.counters[name + "_max"] = times.back();
}

void Masks(benchmark::State& state, const std::string& vocabulary, Form (*make)()) {
  const text::Tokenizer* tokenizer = TokenizerOf(vocabulary);
  if (tokenizer == nullptr) return state.SkipWithError("no such model");
  const Form form = make();
  std::vector<double> first;
  std::vector<double> warm;
  for (auto _ : state) {
    Store store(*tokenizer);
    (void)store.Get("other", Exactly("x"));  // the table of tokens is made once for all grammars
    const auto start = Clock::now();
    const auto grammar = store.Get("form", form.expr);
    state.counters["compile_ms"] = Microseconds(Clock::now() - start) / 1000;
    if (!grammar) return state.SkipWithError(grammar.error().message.c_str());
    for (size_t i = 0; i < form.answers.size(); ++i) {
      const std::vector<double> times = Spell(*grammar, *tokenizer, form.answers[i], state);
      std::vector<double>& to = i == 0 ? first : warm;
      if (i == 0 || i + 1 == form.answers.size()) to.insert(to.end(), times.begin(), times.end());
    }
  }
  Report(state, "first", std::move(first));
  Report(state, "warm", std::move(warm));
}

BENCHMARK_CAPTURE(Masks, smollm2 / any_object, "smollm2", AnyObject)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Masks, smollm2 / person, "smollm2", Person)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Masks, gemma3 - 270m / any_object, "gemma3-270m", AnyObject)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Masks, gemma3 - 270m / person, "gemma3-270m", Person)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvasir::grammar
