#include "grammar/store.h"

#include <fmt/format.h>

#include "base/check.h"
#include "grammar/program.h"

namespace kvasir::grammar {

Result<std::shared_ptr<TokenGrammar>> Store::Get(const std::string& key, const Expr& expr) {
  if (std::shared_ptr<TokenGrammar> known = Find(key)) return known;
  // Compiling takes its time, and nobody should wait for the grammar of another; two who ask for the same one at the
  // same time both compile it.
  KV_ASSIGN(Program program, Program::Compile(expr));
  std::vector<int32_t> special_ids;
  for (const std::string& spelling : program.specials()) {
    const auto id = tokenizer_.FindToken(spelling);
    const auto type = id ? tokenizer_.vocabulary().types[static_cast<size_t>(*id)] : text::TokenType::kNormal;
    if (type != text::TokenType::kControl && type != text::TokenType::kUserDefined) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the grammar needs the special token {}, which this model does not have", spelling));
    }
    if (tokenizer_.IsEndOfGeneration(*id)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the grammar names the token {}, at which this model ends its answers: leave it out, an "
                              "answer ends by itself where the grammar does",
                              spelling));
    }
    special_ids.push_back(*id);
  }
  auto grammar = std::make_shared<TokenGrammar>(std::move(program), Table(), std::move(special_ids), budget_);
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return grammar;
  entries_.push_front({key, grammar});
  by_key_[key] = entries_.begin();
  if (entries_.size() > kMostGrammars) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  return grammar;
}

std::shared_ptr<TokenGrammar> Store::Find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto at = by_key_.find(key);
  if (at == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->grammar;
}

std::shared_ptr<const TokenTable> Store::Table() {
  std::call_once(table_made_, [this] { table_ = std::make_shared<const TokenTable>(tokenizer_); });
  return table_;
}

}  // namespace kvasir::grammar
