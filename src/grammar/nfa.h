// From an expression to an automaton with free choices and free moves (Thompson's construction).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

struct Nfa {
  struct Edge {
    Symbol low = 0;
    Symbol high = 0;
    uint32_t target = 0;
  };
  struct State {
    std::vector<Edge> edges;
    std::vector<uint32_t> free;  ///< Moves that read nothing.
  };
  std::vector<State> states;  ///< The first one is the start.
  uint32_t accept = 0;
};

/// States of an automaton at most, before and after it is made deterministic. Expressions come from the network: what
/// needs more is refused.
inline constexpr size_t kMostNfaStates = 400'000;

/// The error (kResourceExhausted) of an automaton of more than `most` states, and the way out.
[[nodiscard]] std::unexpected<Error> TooManyStates(size_t most);

/// How the symbols of calls and special tokens are numbered.
struct SymbolNumbers {
  std::function<Symbol(const RuleCall&)> call;
  std::function<Symbol(const SpecialToken&)> special;
};

/// Errors: kResourceExhausted where more than kMostNfaStates are needed. A regular expression (without calls and
/// special tokens) needs no `numbers`.
[[nodiscard]] Result<Nfa> BuildNfa(const Expr& expr, const SymbolNumbers& numbers = {});

}  // namespace kvasir::grammar
