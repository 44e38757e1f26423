// A grammar made ready to run: one table of states for all rules.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// Tokens of more bytes are never used for ordinary text in a constrained answer, so that two states which agree on
/// texts of this length allow the same tokens. Such tokens are runs of blanks and dashes; shorter ones spell them.
inline constexpr size_t kHorizon = 64;

/// Rules of a grammar at most.
inline constexpr size_t kMostRules = 2'000;

/// The automata of all rules in one table. A call never reads nothing: where a rule may be empty, the caller has a way
/// around it. From every state of every rule the rule can be ended, so a text that was let through so far can always be
/// completed. Immutable.
class Program {
 public:
  struct Edge {
    uint8_t low = 0;
    uint8_t high = 0;
    uint32_t target = 0;
  };
  struct Call {
    uint32_t start = 0;      ///< Of the rule that is called.
    uint32_t return_to = 0;  ///< In the caller.
  };
  struct Special {
    uint32_t special = 0;  ///< Number in specials().
    uint32_t target = 0;
  };

  /// Compiles. With `specials_as_text`, special tokens are read as the text they are spelled with. Errors:
  /// kResourceExhausted beyond the limits; kInvalidArgument where no text at all fits, or where a rule may begin with
  /// itself (left recursion), which is named.
  [[nodiscard]] static Result<Program> Compile(const Expr& root, bool specials_as_text = false);

  [[nodiscard]] uint32_t start() const { return 0; }
  [[nodiscard]] size_t size() const { return states_.size() - 1; }
  [[nodiscard]] std::span<const Edge> edges(uint32_t state) const {
    return Part(edges_, states_[state].edges, states_[state + 1].edges);
  }
  [[nodiscard]] std::span<const Call> calls(uint32_t state) const {
    return Part(calls_, states_[state].calls, states_[state + 1].calls);
  }
  [[nodiscard]] std::span<const Special> special_edges(uint32_t state) const {
    return Part(special_edges_, states_[state].specials, states_[state + 1].specials);
  }
  [[nodiscard]] bool accepts(uint32_t state) const { return states_[state].accept; }
  /// The rule ends here and nothing else can happen.
  [[nodiscard]] bool only_ends(uint32_t state) const { return states_[state].only_ends; }
  /// States of one class agree on all texts of at most kHorizon bytes, as far as they stay inside the rule and what it
  /// calls. The class is the number of one of its states.
  [[nodiscard]] uint32_t class_of(uint32_t state) const { return states_[state].equal_to; }
  [[nodiscard]] const std::vector<std::string>& specials() const { return specials_; }

 private:
  friend class Linker;
  struct State {
    uint32_t edges = 0;
    uint32_t calls = 0;
    uint32_t specials = 0;
    uint32_t equal_to = 0;
    bool accept = false;
    bool only_ends = false;
  };
  template <typename T>
  static std::span<const T> Part(const std::vector<T>& all, uint32_t begin, uint32_t end) {
    return std::span<const T>(all).subspan(begin, end - begin);
  }

  std::vector<State> states_;  // and one more, where the parts of the last one end
  std::vector<Edge> edges_;
  std::vector<Call> calls_;
  std::vector<Special> special_edges_;
  std::vector<std::string> specials_;
};

}  // namespace kvasir::grammar
