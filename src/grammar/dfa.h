// Automata that have one way to go: what texts are matched with, and what sets of texts are computed with.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "grammar/expression.h"
#include "grammar/nfa.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// A deterministic automaton over symbols. Where no edge fits, the text is refused.
struct Dfa {
  struct Edge {
    Symbol low = 0;
    Symbol high = 0;
    uint32_t target = 0;
    bool operator==(const Edge&) const = default;
  };
  struct State {
    std::vector<Edge> edges;  ///< By symbol, disjoint.
    bool accept = false;
  };
  std::vector<State> states;  ///< The first is the start. None: nothing is accepted.

  /// The state after `symbol`, or -1.
  [[nodiscard]] int64_t Next(uint32_t state, Symbol symbol) const;
  [[nodiscard]] bool Accepts(std::string_view text) const;
};

/// States of a deterministic automaton at most.
inline constexpr size_t kMostStates = 60'000;

/// The same language, deterministic, without states from which nothing can be accepted. Errors: kResourceExhausted
/// beyond kMostStates or a bound on work (some expressions need exponentially many states).
[[nodiscard]] Result<Dfa> Determinize(const Nfa& nfa);
/// The automaton of a regular expression, as small as it can be.
[[nodiscard]] Result<Dfa> DfaOf(const Expr& expr);

/// What both accept.
[[nodiscard]] Result<Dfa> Intersection(const Dfa& a, const Dfa& b);
/// All texts of bytes that `dfa` does not accept, valid UTF-8 or not.
[[nodiscard]] Dfa Complement(const Dfa& dfa);
/// Without states that cannot be reached or from which nothing is accepted.
[[nodiscard]] Dfa Trimmed(const Dfa& dfa);
/// With equal states merged.
[[nodiscard]] Dfa Minimized(const Dfa& dfa);

/// Classes of states of `states` that no text of at most `horizon` symbols tells apart; class numbers are dense and
/// below the number of states. A horizon of SIZE_MAX means no text at all.
[[nodiscard]] std::vector<uint32_t> EqualStates(const std::vector<Dfa::State>& states, size_t horizon);

}  // namespace kvasir::grammar
