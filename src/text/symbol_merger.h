// SymbolMerger: the merge loop that both kinds of byte-pair encoding share.
//
// The problem: given a row of symbols and a rule that says which adjacent pairs may be joined and how good each join
// is, join the best pair (the leftmost of equals) until none is left. Looking for the best pair afresh each time is
// quadratic, and a prompt of one letter a million times must not stop a server. The idea: a doubly linked list of
// symbols in an array, and a heap of candidate joins; a join makes at most two new candidates, and an outdated
// candidate is recognised when it surfaces because the lengths of its two symbols no longer add up. Each symbol is
// joined away at most once, so the whole takes O(n log n). The scheme is the one of SentencePiece's bpe_model; the
// algorithm is by Sennrich et al., "Neural machine translation of rare words with subword units" (2016).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvasir::text {

/// Working memory of the merge loop; reuse one for many words to spare allocations. One thread at a time.
class SymbolMerger {
 public:
  struct Symbol {
    uint32_t start;   // first byte, in the caller's text
    uint32_t length;  // in bytes; 0 once joined to its left neighbour
    int32_t id;       // whatever the caller knows it by
    int32_t previous;
    int32_t next;
  };

  /// What joining two symbols would give. A lower rank is better.
  struct Join {
    static constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();
    uint32_t rank = kNever;
    int32_t id = 0;
  };

  void Clear() { symbols_.clear(); }

  /// Appends a symbol to the row. At most 2^31 - 1 of them.
  void Add(uint32_t start, uint32_t length, int32_t id) {
    const auto index = static_cast<int32_t>(symbols_.size());
    if (index > 0) symbols_.back().next = index;
    symbols_.push_back({start, length, id, index - 1, kEnd});
  }

  /// Joins until nothing can be joined. `find(left, right)` returns the Join of two adjacent symbols.
  template <typename Find>
  void Run(const Find& find) {
    candidates_.clear();
    for (size_t i = 1; i < symbols_.size(); ++i) AddCandidate(static_cast<int32_t>(i - 1), find);
    std::make_heap(candidates_.begin(), candidates_.end(), Worse);
    while (!candidates_.empty()) {
      std::pop_heap(candidates_.begin(), candidates_.end(), Worse);
      const Candidate best = candidates_.back();
      candidates_.pop_back();
      const auto index = static_cast<int32_t>(best.key & 0xFFFFFFFFu);
      if (!IsCurrent(index, best.length)) continue;
      JoinWithNext(index, best.id);
      Offer(symbols_[static_cast<size_t>(index)].previous, find);
      Offer(index, find);
    }
  }

  /// Calls `visit(symbol)` for each symbol that is left, in order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (int32_t i = symbols_.empty() ? kEnd : 0; i != kEnd; i = symbols_[static_cast<size_t>(i)].next) {
      visit(symbols_[static_cast<size_t>(i)]);
    }
  }

 private:
  static constexpr int32_t kEnd = -1;

  struct Candidate {
    uint64_t key;  // rank, then index of the left symbol: the smallest key is the join to make next
    uint32_t length;
    int32_t id;
  };
  static bool Worse(const Candidate& a, const Candidate& b) { return a.key > b.key; }

  template <typename Find>
  bool AddCandidate(int32_t left, const Find& find) {
    const Symbol& a = symbols_[static_cast<size_t>(left)];
    const Symbol& b = symbols_[static_cast<size_t>(a.next)];
    const Join join = find(a, b);
    if (join.rank == Join::kNever) return false;
    candidates_.push_back(
        {(static_cast<uint64_t>(join.rank) << 32) | static_cast<uint32_t>(left), a.length + b.length, join.id});
    return true;
  }

  template <typename Find>
  void Offer(int32_t left, const Find& find) {
    if (left == kEnd || symbols_[static_cast<size_t>(left)].next == kEnd) return;
    if (AddCandidate(left, find)) std::push_heap(candidates_.begin(), candidates_.end(), Worse);
  }

  // Symbols only grow, so equal length means that neither of the two has changed.
  bool IsCurrent(int32_t left, uint32_t length) const {
    const Symbol& a = symbols_[static_cast<size_t>(left)];
    if (a.length == 0 || a.next == kEnd) return false;
    return a.length + symbols_[static_cast<size_t>(a.next)].length == length;
  }

  void JoinWithNext(int32_t left, int32_t id) {
    Symbol& a = symbols_[static_cast<size_t>(left)];
    Symbol& b = symbols_[static_cast<size_t>(a.next)];
    a.length += b.length;
    a.id = id;
    a.next = b.next;
    b.length = 0;
    if (a.next != kEnd) symbols_[static_cast<size_t>(a.next)].previous = left;
  }

  std::vector<Symbol> symbols_;
  std::vector<Candidate> candidates_;  // a heap
};

}  // namespace kvasir::text
