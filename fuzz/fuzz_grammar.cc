// libFuzzer target: any bytes as a JSON schema, a regular expression or a GBNF grammar.
//
// The first byte chooses the notation (r, g, else schema). What follows a line "---" chooses tokens: each byte takes
// one of those that the mask allows. Whatever came out must be a text of the grammar when it may end there, and a
// position with an empty mask must not be reached.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "grammar/constraint.h"
#include "grammar/dfa.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"
#include "grammar/store.h"
#include "text/tokenizer.h"
#include "text/vocabularies_test_support.h"

namespace {

using kvasir::Result;
using kvasir::grammar::Expr;

constexpr std::string_view kSeparator = "\n---\n";
constexpr size_t kLongestGrammar = 4096;  // the limits of size have their own tests

Result<Expr> Parse(std::string_view source) {
  const char kind = source.empty() ? 's' : source.front();
  if (kind == 'g') return kvasir::grammar::ParseGbnf(source.substr(1));
  if (kind != 'r') return kvasir::grammar::ParseJsonSchema(source);
  auto dfa = kvasir::grammar::RegexDfa(source.substr(1), kvasir::grammar::RegexMatch::kSearch);
  if (!dfa) return std::unexpected(dfa.error());
  return kvasir::grammar::Of(std::move(*dfa));
}

const kvasir::text::Tokenizer& Tokenizer() {
  static const auto tokenizer = kvasir::text::Tokenizer::Create(kvasir::text::ByteLevelVocabularyForTest());
  return **tokenizer;
}

void Require(bool condition) {
  if (!condition) std::abort();
}

void Walk(const std::shared_ptr<kvasir::grammar::TokenGrammar>& grammar, std::string_view choices) {
  kvasir::grammar::Constraint constraint(grammar, Tokenizer().vocab_size());
  kvasir::grammar::Walker walker(grammar->program());
  auto position = walker.Start();
  for (const char choice : choices.substr(0, 64)) {
    const auto mask = constraint.Mask();
    if (!mask) return;  // a limit
    Require(constraint.complete() == walker.complete(position));
    int left = static_cast<uint8_t>(choice);
    int32_t token = -1;
    for (int round = 0; round < 2 && left >= 0; ++round) {
      for (int32_t id = 0; id < Tokenizer().vocab_size() && left >= 0; ++id) {
        if (((*mask)[static_cast<size_t>(id) / 32] >> (id % 32) & 1U) == 0) continue;
        token = id;
        --left;
      }
    }
    Require(token >= 0);
    constraint.Accept(token);
    if (Tokenizer().IsEndOfGeneration(token)) {
      Require(walker.complete(position));
      return;
    }
    const std::string_view piece = grammar->table().piece(token);
    if (piece.empty() || !grammar->program().specials().empty()) return;  // a special token has two readings
    position = walker.NextText(position, piece);
    Require(position != kvasir::grammar::Walker::kDead || !walker.status());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t separator = input.find(kSeparator);
  const std::string_view source = input.substr(0, separator);
  if (source.size() > kLongestGrammar) return 0;
  const auto expr = Parse(source);
  if (!expr) return 0;
  kvasir::grammar::Store store(Tokenizer());
  const auto grammar = store.Get("fuzz", *expr);
  if (!grammar) return 0;
  if (separator != std::string_view::npos) Walk(*grammar, input.substr(separator + kSeparator.size()));
  return 0;
}
