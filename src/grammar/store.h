// Grammars that were compiled for one vocabulary, for all its requests.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "grammar/constraint.h"
#include "grammar/expression.h"
#include "kvasir/result.h"
#include "text/tokenizer.h"

namespace kvasir::grammar {

/// Thread-safe.
class Store {
 public:
  /// Grammars kept at most; those that were not asked for the longest are dropped first.
  static constexpr size_t kMostGrammars = 32;

  /// `tokenizer` must outlive the store and every grammar it gave out.
  explicit Store(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// `expr`, compiled for this vocabulary. Equal keys must mean equal expressions. Errors: Program::Compile's, and
  /// kInvalidArgument for a special token that the vocabulary does not have, or at which the model ends its answers.
  [[nodiscard]] Result<std::shared_ptr<TokenGrammar>> Get(const std::string& key, const Expr& expr);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<TokenGrammar> grammar;
  };
  [[nodiscard]] std::shared_ptr<TokenGrammar> Find(const std::string& key);
  [[nodiscard]] std::shared_ptr<const TokenTable> Table();

  const text::Tokenizer& tokenizer_;
  const std::shared_ptr<MaskBudget> budget_ = std::make_shared<MaskBudget>();
  std::once_flag table_made_;
  std::shared_ptr<const TokenTable> table_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the last one used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace kvasir::grammar
