// From a grammar and a vocabulary to a constraint. Apart from grammar.cc, so that grammars can be made without an
// engine.
#include "base/check.h"
#include "engine/grammar_impl.h"
#include "engine/tokenizer_impl.h"
#include "grammar/constraint.h"
#include "grammar/store.h"
#include "kvasir/grammar.h"

namespace kvasir {
namespace {

class TokenConstraintOf final : public TokenConstraint {
 public:
  TokenConstraintOf(std::shared_ptr<grammar::TokenGrammar> grammar, int32_t vocabulary)
      : inner_(std::move(grammar), vocabulary) {}
  Result<std::span<const uint32_t>> Mask() override { return inner_.Mask(); }
  void Accept(int32_t token) override { inner_.Accept(token); }

 private:
  grammar::Constraint inner_;
};

Result<std::shared_ptr<TokenConstraint>> ConstrainBits(const Tokenizer& tokenizer, const Grammar& grammar,
                                                       int32_t bits) {
  const Grammar::Impl& impl = grammar.impl();
  if (impl.error) return std::unexpected(*impl.error);
  KV_ASSIGN(std::shared_ptr<grammar::TokenGrammar> compiled, tokenizer.impl().grammars().Get(impl.key, impl.expr));
  return std::make_shared<TokenConstraintOf>(std::move(compiled), bits);
}

}  // namespace

Result<std::shared_ptr<TokenConstraint>> Constrain(const Engine& engine, const Grammar& grammar) {
  return ConstrainBits(engine.tokenizer(), grammar, engine.info().vocabulary);
}

Result<std::shared_ptr<TokenConstraint>> Constrain(const Tokenizer& tokenizer, const Grammar& grammar) {
  return ConstrainBits(tokenizer, grammar, tokenizer.vocab_size());
}

}  // namespace kvasir
