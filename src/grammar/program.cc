// A grammar with rules is a recursive transition network: one automaton per rule, in which an edge may be a call of a
// rule. Compiling makes each of them deterministic (a call counts as a symbol of its own) and brings them into a form
// in which running is simple:
//
// 1. Which rules may be empty, and which may be more than empty, is found by going over all rules until nothing
// changes.
// 2. A call of a rule that may be empty gets a free move beside it, and the rule itself loses the empty text; a rule
// that
//    is never more than empty loses its calls. From then on a call always reads at least a byte or a special token.
// 3. So a rule begins with itself exactly if its start state calls it, directly or through other start states. That
// would
//    never end and is refused; a grammar can always be written without it.
// 4. States from which the end of the rule cannot be reached are dropped: what is let through can be completed.
#include "grammar/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "grammar/dfa.h"
#include "grammar/nfa.h"

namespace kvasir::grammar {

class Linker {
 public:
  explicit Linker(bool specials_as_text) : specials_as_text_(specials_as_text) {}

  Result<Program> Run(const Expr& root) {
    KV_TRY(Collect(root));
    FindEmptyRules();
    if (!rules_[0].maybe_empty && !rules_[0].maybe_more) {
      return Fail(ErrorCode::kInvalidArgument, "the grammar matches no text at all: its parts contradict each other");
    }
    KV_TRY(MakeDeterministic());
    KV_TRY(RefuseLeftRecursion());
    return Link();
  }

 private:
  struct Rule {
    std::string name;
    Expr body;
    Nfa nfa;
    Dfa dfa;
    bool maybe_empty = false;
    bool maybe_more = false;
    uint32_t start = 0;  // in the table
  };

  Symbol NumberOf(const RuleCall& call) {
    const auto [at, is_new] = rule_numbers_.try_emplace({call.rules, call.rule}, static_cast<uint32_t>(rules_.size()));
    if (is_new) {
      Rule& rule = rules_.emplace_back();
      rule.name = call.rules->names[call.rule];
      rule.body = call.rules->bodies[call.rule];
    }
    return kFirstCall + at->second;
  }
  Symbol NumberOf(const SpecialToken& token) {
    const auto [at, is_new] =
        special_numbers_.try_emplace(token.spelling, static_cast<uint32_t>(special_numbers_.size()));
    if (is_new) specials_.push_back(token.spelling);
    return kFirstSpecial + at->second;
  }

  // Builds the automaton of the root, which is rule 0, and of every rule that it or another calls.
  Status Collect(const Expr& root) {
    const SymbolNumbers numbers{.call = [this](const RuleCall& call) { return NumberOf(call); },
                                .special = [this](const SpecialToken& token) { return NumberOf(token); }};
    rules_.push_back({.name = "root", .body = root});
    size_t states = 0;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (rules_.size() > kMostRules) {
        return Fail(
            ErrorCode::kResourceExhausted,
            fmt::format("the grammar has more than {} rules; leave out definitions that are not used", kMostRules));
      }
      const Expr body = rules_[i].body;  // the list grows below
      KV_ASSIGN(Nfa nfa, BuildNfa(body, numbers));
      states += nfa.states.size();
      if (states > kMostNfaStates) {
        return Fail(ErrorCode::kResourceExhausted,
                    fmt::format("the rules of the grammar need more than {} states together; use smaller repeats",
                                kMostNfaStates));
      }
      rules_[i].nfa = std::move(nfa);
    }
    if (specials_as_text_) SpellSpecials();
    return {};
  }

  void SpellSpecials() {
    for (Rule& rule : rules_) {
      Nfa& nfa = rule.nfa;
      for (size_t s = 0; s < nfa.states.size(); ++s) {
        for (size_t e = 0; e < nfa.states[s].edges.size(); ++e) {
          const Nfa::Edge edge = nfa.states[s].edges[e];
          if (edge.low < kFirstSpecial) continue;
          const std::string& spelling = specials_[edge.low - kFirstSpecial];
          KV_CHECK(!spelling.empty());
          auto from = static_cast<uint32_t>(s);
          for (size_t i = 0; i < spelling.size(); ++i) {
            const bool last = i + 1 == spelling.size();
            const auto to = last ? edge.target : static_cast<uint32_t>(nfa.states.size());
            if (!last) nfa.states.emplace_back();
            const Nfa::Edge step{static_cast<uint8_t>(spelling[i]), static_cast<uint8_t>(spelling[i]), to};
            if (i == 0) {
              nfa.states[from].edges[e] = step;
            } else {
              nfa.states[from].edges.push_back(step);
            }
            from = to;
          }
        }
      }
    }
  }

  void FindEmptyRules() {
    bool changed = true;
    while (changed) {
      changed = false;
      for (size_t i = rules_.size(); i-- > 0;) changed = Examine(rules_[i]) || changed;
    }
  }

  // Walks the automaton twice at once: as long as nothing has been read, and after something has.
  bool Examine(Rule& rule) {
    if (rule.maybe_empty && rule.maybe_more) return false;
    const Nfa& nfa = rule.nfa;
    std::vector<char> seen(nfa.states.size() * 2, 0);
    std::vector<uint32_t> stack;
    const auto visit = [&](uint32_t state, uint32_t more) {
      if (std::exchange(seen[state * 2 + more], 1) == 0) stack.push_back(state * 2 + more);
    };
    visit(0, 0);
    while (!stack.empty()) {
      const uint32_t state = stack.back() / 2;
      const uint32_t more = stack.back() % 2;
      stack.pop_back();
      for (const uint32_t to : nfa.states[state].free) visit(to, more);
      for (const Nfa::Edge& edge : nfa.states[state].edges) {
        if (IsCall(edge)) {
          const Rule& callee = rules_[edge.low - kFirstCall];
          if (callee.maybe_empty) visit(edge.target, more);
          if (callee.maybe_more) visit(edge.target, 1);
        } else {
          visit(edge.target, 1);
        }
      }
    }
    const bool empty = seen[nfa.accept * 2] != 0;
    const bool more = seen[nfa.accept * 2 + 1] != 0;
    const bool changed = empty != rule.maybe_empty || more != rule.maybe_more;
    rule.maybe_empty = empty;
    rule.maybe_more = more;
    return changed;
  }

  static bool IsCall(const Nfa::Edge& edge) { return edge.low >= kFirstCall && edge.low < kFirstSpecial; }

  Status MakeDeterministic() {
    size_t states = 0;
    for (size_t i = 0; i < rules_.size(); ++i) {
      Rule& rule = rules_[i];
      for (Nfa::State& state : rule.nfa.states) {
        for (const Nfa::Edge& edge : state.edges) {
          if (IsCall(edge) && rules_[edge.low - kFirstCall].maybe_empty) state.free.push_back(edge.target);
        }
        std::erase_if(state.edges, [this](const Nfa::Edge& edge) {
          return IsCall(edge) && !rules_[edge.low - kFirstCall].maybe_more;
        });
      }
      KV_ASSIGN(const Dfa dfa, Determinize(rule.nfa));
      rule.nfa = {};
      rule.dfa = Minimized(dfa);
      if (i > 0 && rule.maybe_empty) LoseEmptyText(rule.dfa);
      states += rule.dfa.states.size();
      if (states > kMostStates) return TooManyStates(kMostStates);
    }
    return {};
  }

  // The old start stays as it is for those who come back to it.
  static void LoseEmptyText(Dfa& dfa) {
    const auto copy = static_cast<uint32_t>(dfa.states.size());
    dfa.states.push_back(dfa.states[0]);
    for (Dfa::State& state : dfa.states) {
      for (Dfa::Edge& edge : state.edges) {
        if (edge.target == 0) edge.target = copy;
      }
    }
    dfa.states[0].accept = false;
    dfa = Trimmed(dfa);
  }

  // Depth first over "begins with"; an edge to a rule that is still open closes a circle.
  Status RefuseLeftRecursion() const {
    enum : uint8_t { kNew, kOpen, kDone };
    std::vector<uint8_t> mark(rules_.size(), kNew);
    struct Frame {
      uint32_t rule;
      std::vector<uint32_t> callees;
    };
    std::vector<Frame> stack;
    const auto open = [&](uint32_t rule) {
      mark[rule] = kOpen;
      Frame frame{rule, {}};
      if (!rules_[rule].dfa.states.empty()) {
        for (const Dfa::Edge& edge : rules_[rule].dfa.states[0].edges) {
          for (Symbol s = std::max(edge.low, kFirstCall); s <= edge.high && s < kFirstSpecial; ++s) {
            frame.callees.push_back(s - kFirstCall);
          }
        }
      }
      stack.push_back(std::move(frame));
    };
    for (uint32_t root = 0; root < rules_.size(); ++root) {
      if (mark[root] != kNew) continue;
      open(root);
      while (!stack.empty()) {
        if (stack.back().callees.empty()) {
          mark[stack.back().rule] = kDone;
          stack.pop_back();
          continue;
        }
        const uint32_t next = stack.back().callees.back();
        stack.back().callees.pop_back();
        if (mark[next] == kOpen) {
          return Fail(ErrorCode::kInvalidArgument,
                      fmt::format("the rule {} may begin with itself, which never ends; write it with a repeat or with "
                                  "the recursion at its end",
                                  rules_[next].name));
        }
        if (mark[next] == kNew) open(next);
      }
    }
    return {};
  }

  Result<Program> Link() {
    uint32_t next = 0;
    for (Rule& rule : rules_) {
      rule.start = next;
      next += static_cast<uint32_t>(rule.dfa.states.size());
    }
    std::vector<Dfa::State> all;
    Program program;
    for (const Rule& rule : rules_) {
      for (const Dfa::State& state : rule.dfa.states) {
        AddState(program, rule, state);
        all.push_back(state);
        for (Dfa::Edge& edge : all.back().edges) edge.target += rule.start;
      }
    }
    AddEnd(program);
    const std::vector<uint32_t> classes = EqualStates(all, kHorizon);
    std::vector<int64_t> first(all.size(), -1);
    for (uint32_t s = 0; s < all.size(); ++s) {
      if (first[classes[s]] < 0) first[classes[s]] = s;
      program.states_[s].equal_to = static_cast<uint32_t>(first[classes[s]]);
    }
    program.specials_ = specials_;
    return program;
  }

  void AddState(Program& program, const Rule& rule, const Dfa::State& state) const {
    AddEnd(program);
    program.states_.back().accept = state.accept;
    program.states_.back().only_ends = state.accept && state.edges.empty();
    for (const Dfa::Edge& edge : state.edges) {
      for (Symbol s = edge.low; s <= edge.high; ++s) {
        const uint32_t target = rule.start + edge.target;
        if (s < kTextBegin) {
          const Symbol last = std::min(edge.high, kTextBegin - 1);
          program.edges_.push_back({static_cast<uint8_t>(s), static_cast<uint8_t>(last), target});
          s = last;
        } else if (s >= kFirstSpecial) {
          program.special_edges_.push_back({s - kFirstSpecial, target});
        } else if (s >= kFirstCall) {
          program.calls_.push_back({rules_[s - kFirstCall].start, target});
        }
      }
    }
  }

  static void AddEnd(Program& program) {
    program.states_.push_back({.edges = static_cast<uint32_t>(program.edges_.size()),
                               .calls = static_cast<uint32_t>(program.calls_.size()),
                               .specials = static_cast<uint32_t>(program.special_edges_.size())});
  }

  const bool specials_as_text_;
  std::vector<Rule> rules_;
  std::map<std::pair<const Rules*, uint32_t>, uint32_t> rule_numbers_ = {{{nullptr, 0}, 0}};
  std::map<std::string, uint32_t> special_numbers_;
  std::vector<std::string> specials_;
};

Result<Program> Program::Compile(const Expr& root, bool specials_as_text) {
  return Linker(specials_as_text).Run(root);
}

}  // namespace kvasir::grammar
