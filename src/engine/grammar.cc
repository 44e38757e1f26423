#include "kvasir/grammar.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/grammar_impl.h"
#include "grammar/dfa.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/json_text.h"
#include "grammar/program.h"
#include "grammar/regex.h"
#include "grammar/text_without.h"
#include "grammar/walker.h"

namespace kvasir {
namespace {

Grammar GrammarOf(grammar::Expr expr, std::string key, std::optional<Error> error = std::nullopt) {
  return Grammar(std::make_shared<const Grammar::Impl>(std::move(expr), std::move(key), std::move(error)));
}

std::string KeyOf(std::string_view kind, std::string_view source) {
  return fmt::format("{}{}:{}", kind, source.size(), source);
}

std::string KeyOf(std::string_view kind, const std::vector<Grammar>& parts) {
  std::string key = fmt::format("{}{}:", kind, parts.size());
  for (const Grammar& part : parts) key += part.impl().key;
  return key;
}

std::vector<grammar::Expr> ExprsOf(const std::vector<Grammar>& parts) {
  std::vector<grammar::Expr> out;
  out.reserve(parts.size());
  for (const Grammar& part : parts) out.push_back(part.impl().expr);
  return out;
}

std::optional<Error> FirstError(const std::vector<Grammar>& parts) {
  for (const Grammar& part : parts) {
    if (part.impl().error) return part.impl().error;
  }
  return std::nullopt;
}

}  // namespace

Result<Grammar> Grammar::FromJsonSchema(std::string_view schema) {
  KV_ASSIGN(grammar::Expr expr, grammar::ParseJsonSchema(schema));
  return GrammarOf(std::move(expr), KeyOf("schema", schema));
}

Grammar Grammar::AnyJsonObject() {
  return GrammarOf(grammar::AnyJsonObject(), "object:");
}

Result<Grammar> Grammar::FromRegex(std::string_view pattern) {
  KV_ASSIGN(grammar::Dfa dfa, grammar::RegexDfa(pattern, grammar::RegexMatch::kWhole));
  return GrammarOf(grammar::Of(std::move(dfa)), KeyOf("regex", pattern));
}

Result<Grammar> Grammar::FromGbnf(std::string_view text) {
  KV_ASSIGN(grammar::Expr expr, grammar::ParseGbnf(text));
  return GrammarOf(std::move(expr), KeyOf("gbnf", text));
}

Grammar Grammar::Literal(std::string_view text) {
  return GrammarOf(grammar::Exactly(text), KeyOf("literal", text));
}

Grammar Grammar::Special(std::string_view text) {
  return GrammarOf(grammar::Make({grammar::SpecialToken{std::string(text)}}), KeyOf("special", text));
}

Grammar Grammar::Sequence(const std::vector<Grammar>& parts) {
  return GrammarOf(grammar::InOrderOf(ExprsOf(parts)), KeyOf("sequence", parts), FirstError(parts));
}

Grammar Grammar::Choice(const std::vector<Grammar>& parts) {
  return GrammarOf(grammar::AnyOfThese(ExprsOf(parts)), KeyOf("choice", parts), FirstError(parts));
}

Grammar Grammar::Repeat(const Grammar& part, int min, int max) {
  min = std::max(min, 0);
  if (max >= 0) max = std::max(min, max);
  return GrammarOf(grammar::Times(part.impl().expr, min, max), fmt::format("repeat{},{}:{}", min, max, part.impl().key),
                   part.impl().error);
}

Grammar Grammar::TextWithout(const std::vector<std::string>& words) {
  std::string key = fmt::format("without{}:", words.size());
  for (const std::string& word : words) key += KeyOf("", word);
  auto dfa = grammar::TextWithout(words);
  if (!dfa) return GrammarOf(grammar::Nothing(), std::move(key), dfa.error());
  return GrammarOf(grammar::Of(std::move(*dfa)), std::move(key));
}

Result<bool> Grammar::Matches(std::string_view text) const {
  if (impl_->error) return std::unexpected(*impl_->error);
  KV_ASSIGN(const grammar::Program program, grammar::Program::Compile(impl_->expr, /*specials_as_text=*/true));
  grammar::Walker walker(program);
  grammar::Walker::Position position = walker.Start();
  for (const char c : text) {
    position = walker.Next(position, static_cast<uint8_t>(c));
    (void)walker.Tidy(position);
  }
  KV_TRY(walker.status());
  return walker.complete(position);
}

}  // namespace kvasir
