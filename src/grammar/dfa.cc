// Determinize is the subset construction: a state of the result is a set of states of the nondeterministic automaton. A
// set is known by its members that read something or accept; the members of the free moves between them add nothing.
//
// EqualStates is Moore's partition refinement: after k rounds, states of one class cannot be told apart by texts of k
// symbols. The usual reason to stop early is speed, ours is that the classes after k rounds are what we want: two
// states that agree on all texts of 64 bytes allow the same tokens, although they are not equal. A round only looks at
// states with a successor that was moved to another class in the round before, so that the long chains which maxLength
// makes cost a few states a round and not all of them.
#include "grammar/dfa.h"

#include <algorithm>
#include <map>
#include <span>
#include <unordered_map>

#include "base/check.h"

namespace kvasir::grammar {
namespace {

// Members of all sets together that a subset construction may look at.
constexpr size_t kMostWork = 30'000'000;

struct ListHash {
  size_t operator()(const std::vector<uint32_t>& list) const {
    uint64_t hash = 1469598103934665603ULL;
    for (const uint32_t value : list) hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL, hash ^= hash >> 29U;
    return hash;
  }
};

class SubsetConstruction {
 public:
  explicit SubsetConstruction(const Nfa& nfa) : nfa_(nfa), seen_(nfa.states.size(), 0) {}

  Result<Dfa> Run() {
    const uint32_t start[] = {0};
    Find(Closure(start));
    for (uint32_t id = 0; id < sets_.size(); ++id) {
      KV_TRY(Expand(id));
    }
    return std::move(dfa_);
  }

 private:
  // The sorted members worth keeping of everything that can be reached for free.
  std::vector<uint32_t> Closure(std::span<const uint32_t> from) {
    ++epoch_;
    std::vector<uint32_t> kept;
    stack_.assign(from.begin(), from.end());
    while (!stack_.empty()) {
      const uint32_t state = stack_.back();
      stack_.pop_back();
      if (seen_[state] == epoch_) continue;
      seen_[state] = epoch_;
      ++work_;
      if (!nfa_.states[state].edges.empty() || state == nfa_.accept) kept.push_back(state);
      stack_.insert(stack_.end(), nfa_.states[state].free.begin(), nfa_.states[state].free.end());
    }
    std::ranges::sort(kept);
    return kept;
  }

  uint32_t Find(std::vector<uint32_t> set) {
    const auto [at, is_new] = ids_.try_emplace(std::move(set), static_cast<uint32_t>(sets_.size()));
    if (is_new) {
      sets_.push_back(&at->first);
      dfa_.states.push_back({.edges = {}, .accept = std::ranges::binary_search(at->first, nfa_.accept)});
    }
    return at->second;
  }

  // Cuts the symbols at every place where an edge of a member begins or ends; between two cuts all symbols lead to the
  // same set.
  Status Expand(uint32_t id) {
    if (sets_.size() > kMostStates || work_ > kMostWork) return TooManyStates(kMostStates);
    edges_.clear();
    cuts_.clear();
    for (const uint32_t member : *sets_[id]) {
      for (const Nfa::Edge& edge : nfa_.states[member].edges) {
        edges_.push_back(edge);
        cuts_.push_back(edge.low);
        cuts_.push_back(edge.high + 1);
      }
    }
    std::ranges::sort(cuts_);
    cuts_.erase(std::ranges::unique(cuts_).begin(), cuts_.end());
    std::ranges::sort(edges_, {}, &Nfa::Edge::low);
    std::vector<Nfa::Edge> open;
    size_t next = 0;
    for (size_t i = 0; i + 1 < cuts_.size(); ++i) {
      const Symbol low = cuts_[i];
      const Symbol high = cuts_[i + 1] - 1;
      std::erase_if(open, [low](const Nfa::Edge& edge) { return edge.high < low; });
      while (next < edges_.size() && edges_[next].low == low) open.push_back(edges_[next++]);
      work_ += open.size();
      if (open.empty()) continue;
      targets_.clear();
      for (const Nfa::Edge& edge : open) targets_.push_back(edge.target);
      const uint32_t target = Find(Closure(targets_));
      std::vector<Dfa::Edge>& out = dfa_.states[id].edges;
      if (!out.empty() && out.back().target == target && out.back().high + 1 == low) {
        out.back().high = high;
      } else {
        out.push_back({low, high, target});
      }
    }
    return {};
  }

  const Nfa& nfa_;
  Dfa dfa_;
  std::unordered_map<std::vector<uint32_t>, uint32_t, ListHash> ids_;
  std::vector<const std::vector<uint32_t>*> sets_;
  std::vector<uint32_t> seen_;
  uint32_t epoch_ = 0;
  size_t work_ = 0;
  std::vector<uint32_t> stack_;
  std::vector<uint32_t> targets_;
  std::vector<Nfa::Edge> edges_;
  std::vector<Symbol> cuts_;
};

class Refinement {
 public:
  explicit Refinement(const std::vector<Dfa::State>& states)
      : states_(states), class_(states.size()), predecessors_(states.size()) {
    for (uint32_t s = 0; s < states.size(); ++s) {
      for (const Dfa::Edge& edge : states[s].edges) predecessors_[edge.target].push_back(s);
    }
  }

  std::vector<uint32_t> Run(size_t horizon) {
    Begin();
    for (size_t round = 0; round < horizon && !dirty_.empty(); ++round) Round();
    return std::move(class_);
  }

 private:
  // The texts of no symbols tell accepting states from the others.
  void Begin() {
    int64_t number[2] = {-1, -1};
    for (uint32_t s = 0; s < states_.size(); ++s) {
      int64_t& mine = number[states_[s].accept ? 1 : 0];
      if (mine < 0) mine = AddClass();
      class_[s] = static_cast<uint32_t>(mine);
      ++size_[class_[s]];
      dirty_.push_back(s);
    }
  }

  uint32_t AddClass() {
    size_.push_back(0);
    signature_.emplace_back();
    return static_cast<uint32_t>(size_.size() - 1);
  }

  // Where a state goes, in classes; neighbouring ranges that go to the same class are one.
  std::vector<uint32_t> SignatureOf(uint32_t state) const {
    std::vector<uint32_t> out;
    for (const Dfa::Edge& edge : states_[state].edges) {
      const uint32_t target = class_[edge.target];
      const size_t n = out.size();
      if (n >= 3 && out[n - 1] == target && out[n - 2] + 1 == edge.low) {
        out[n - 2] = edge.high;
      } else {
        out.insert(out.end(), {edge.low, edge.high, target});
      }
    }
    return out;
  }

  // Members of a class that were not looked at still have the signature of their class. Those looked at stay if theirs
  // is the same; if all were looked at, the first signature becomes that of the class.
  void Round() {
    std::vector<std::vector<uint32_t>> signatures(dirty_.size());
    std::unordered_map<uint32_t, uint32_t> looked_at;
    for (size_t i = 0; i < dirty_.size(); ++i) {
      signatures[i] = SignatureOf(dirty_[i]);
      ++looked_at[class_[dirty_[i]]];
    }
    std::unordered_map<uint32_t, bool> open;  // classes whose signature the next member gives
    for (const auto& [number, count] : looked_at) open[number] = count == size_[number];
    std::map<std::pair<uint32_t, std::vector<uint32_t>>, uint32_t> split;
    std::vector<uint32_t> moved;
    for (size_t i = 0; i < dirty_.size(); ++i) {
      const uint32_t state = dirty_[i];
      const uint32_t old = class_[state];
      if (open[old]) {
        open[old] = false;
        signature_[old] = signatures[i];
      }
      if (signatures[i] == signature_[old]) continue;
      const auto [at, is_new] = split.try_emplace({old, signatures[i]}, 0);
      if (is_new) {
        at->second = AddClass();
        signature_[at->second] = std::move(signatures[i]);
      }
      moves_.emplace_back(state, at->second);
      moved.push_back(state);
    }
    for (const auto& [state, to] : moves_) {
      --size_[class_[state]];
      ++size_[to];
      class_[state] = to;
    }
    moves_.clear();
    dirty_.clear();
    for (const uint32_t state : moved)
      dirty_.insert(dirty_.end(), predecessors_[state].begin(), predecessors_[state].end());
    std::ranges::sort(dirty_);
    dirty_.erase(std::ranges::unique(dirty_).begin(), dirty_.end());
  }

  const std::vector<Dfa::State>& states_;
  std::vector<uint32_t> class_;
  std::vector<std::vector<uint32_t>> predecessors_;
  std::vector<uint32_t> size_;                    // by class
  std::vector<std::vector<uint32_t>> signature_;  // by class
  std::vector<uint32_t> dirty_;
  std::vector<std::pair<uint32_t, uint32_t>> moves_;
};

}  // namespace

int64_t Dfa::Next(uint32_t state, Symbol symbol) const {
  const std::vector<Edge>& edges = states[state].edges;
  const auto at = std::ranges::lower_bound(edges, symbol, {}, &Edge::high);
  return at != edges.end() && at->low <= symbol ? int64_t{at->target} : -1;
}

bool Dfa::Accepts(std::string_view text) const {
  if (states.empty()) return false;
  int64_t state = 0;
  for (const char c : text) {
    state = Next(static_cast<uint32_t>(state), static_cast<uint8_t>(c));
    if (state < 0) return false;
  }
  return states[static_cast<size_t>(state)].accept;
}

Result<Dfa> Determinize(const Nfa& nfa) {
  KV_ASSIGN(const Dfa dfa, SubsetConstruction(nfa).Run());
  return Trimmed(dfa);
}

Result<Dfa> DfaOf(const Expr& expr) {
  KV_ASSIGN(const Nfa nfa, BuildNfa(expr));
  KV_ASSIGN(const Dfa dfa, Determinize(nfa));
  return Minimized(dfa);
}

Result<Dfa> Intersection(const Dfa& a, const Dfa& b) {
  Dfa both;
  if (a.states.empty() || b.states.empty()) return both;
  std::unordered_map<uint64_t, uint32_t> ids;
  std::vector<std::pair<uint32_t, uint32_t>> pairs;
  const auto find = [&](uint32_t x, uint32_t y) {
    const auto [at, is_new] = ids.try_emplace((uint64_t{x} << 32U) | y, static_cast<uint32_t>(pairs.size()));
    if (is_new) {
      pairs.emplace_back(x, y);
      both.states.push_back({.edges = {}, .accept = a.states[x].accept && b.states[y].accept});
    }
    return at->second;
  };
  find(0, 0);
  for (uint32_t id = 0; id < pairs.size(); ++id) {
    if (pairs.size() > kMostStates) return TooManyStates(kMostStates);
    const auto [x, y] = pairs[id];
    auto left = a.states[x].edges.begin();
    auto right = b.states[y].edges.begin();
    while (left != a.states[x].edges.end() && right != b.states[y].edges.end()) {
      const Symbol low = std::max(left->low, right->low);
      const Symbol high = std::min(left->high, right->high);
      if (low <= high) {
        const uint32_t target = find(left->target, right->target);
        both.states[id].edges.push_back({low, high, target});
      }
      const bool left_ends = left->high <= right->high;
      const bool right_ends = right->high <= left->high;
      if (left_ends) ++left;
      if (right_ends) ++right;
    }
  }
  return Minimized(Trimmed(both));
}

Dfa Complement(const Dfa& dfa) {
  constexpr Symbol kLast = 255;
  Dfa out = dfa;
  if (out.states.empty()) out.states.emplace_back();
  const auto sink = static_cast<uint32_t>(out.states.size());
  out.states.push_back({.edges = {{0, kLast, sink}}, .accept = false});
  for (uint32_t s = 0; s < sink; ++s) {
    std::vector<Dfa::Edge> total;
    Symbol next = 0;
    for (const Dfa::Edge& edge : out.states[s].edges) {
      if (edge.low > next) total.push_back({next, edge.low - 1, sink});
      total.push_back(edge);
      next = edge.high + 1;
    }
    if (next <= kLast) total.push_back({next, kLast, sink});
    out.states[s].edges = std::move(total);
  }
  for (Dfa::State& state : out.states) state.accept = !state.accept;
  return Minimized(Trimmed(out));
}

Dfa Trimmed(const Dfa& dfa) {
  const size_t n = dfa.states.size();
  std::vector<std::vector<uint32_t>> predecessors(n);
  std::vector<char> live(n, 0);
  std::vector<uint32_t> stack;
  for (uint32_t s = 0; s < n; ++s) {
    for (const Dfa::Edge& edge : dfa.states[s].edges) predecessors[edge.target].push_back(s);
    if (dfa.states[s].accept) live[s] = 1, stack.push_back(s);
  }
  while (!stack.empty()) {
    const uint32_t state = stack.back();
    stack.pop_back();
    for (const uint32_t before : predecessors[state]) {
      if (live[before] == 0) live[before] = 1, stack.push_back(before);
    }
  }
  Dfa out;
  if (n == 0 || live[0] == 0) return out;
  std::vector<int64_t> number(n, -1);
  std::vector<uint32_t> order = {0};
  number[0] = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    Dfa::State state{.edges = {}, .accept = dfa.states[order[i]].accept};
    for (Dfa::Edge edge : dfa.states[order[i]].edges) {
      if (live[edge.target] == 0) continue;
      if (number[edge.target] < 0) {
        number[edge.target] = static_cast<int64_t>(order.size());
        order.push_back(edge.target);
      }
      edge.target = static_cast<uint32_t>(number[edge.target]);
      state.edges.push_back(edge);
    }
    out.states.push_back(std::move(state));
  }
  return out;
}

Dfa Minimized(const Dfa& dfa) {
  if (dfa.states.empty()) return dfa;
  const std::vector<uint32_t> classes = EqualStates(dfa.states, SIZE_MAX);
  // The class of the start comes first; the others in the order of their first state.
  std::vector<int64_t> number(dfa.states.size(), -1);
  Dfa out;
  std::vector<uint32_t> first;
  for (uint32_t s = 0; s < dfa.states.size(); ++s) {
    if (number[classes[s]] >= 0) continue;
    number[classes[s]] = static_cast<int64_t>(first.size());
    first.push_back(s);
  }
  for (const uint32_t s : first) {
    Dfa::State state{.edges = {}, .accept = dfa.states[s].accept};
    for (const Dfa::Edge& edge : dfa.states[s].edges) {
      const auto target = static_cast<uint32_t>(number[classes[edge.target]]);
      if (!state.edges.empty() && state.edges.back().target == target && state.edges.back().high + 1 == edge.low) {
        state.edges.back().high = edge.high;
      } else {
        state.edges.push_back({edge.low, edge.high, target});
      }
    }
    out.states.push_back(std::move(state));
  }
  return out;
}

std::vector<uint32_t> EqualStates(const std::vector<Dfa::State>& states, size_t horizon) {
  return Refinement(states).Run(horizon);
}

}  // namespace kvasir::grammar
