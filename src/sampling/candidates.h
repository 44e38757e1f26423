// The tokens that may still be chosen, and their logits.
//
// A vocabulary has up to 262144 tokens, and every technique is defined on "the sorted probabilities". Sorting all
// of them for each token would cost more than some models' forward pass. So the set has two shapes. At first it is
// dense: a copy of the row of logits, indexed by token id, cheap to edit. The first stage that removes tokens makes it
// sparse: a short list of (id, logit). Removal is a threshold scan or a partial selection, and sorting is done only as
// far as somebody looks (IncrementalSorter). Nothing here is approximate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <unordered_map>
#include <vector>

#include "sampling/row_scan.h"

namespace kvasir::sampling {

/// A token and its logit. A logit is finite, or kImpossible for a token that cannot be chosen.
struct Candidate {
  int32_t id = 0;
  float logit = kImpossible;
};

/// The order used everywhere: more likely first, the lower id first on a tie.
[[nodiscard]] constexpr bool MoreLikely(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/// Sorts as much of a sequence as is looked at: At(i) is what std::sort would put at i, at O(n + i log i).
template <typename T, typename Less>
class IncrementalSorter {
 public:
  IncrementalSorter(std::span<T> items, Less less) : items_(items), less_(less) {}

  const T& At(size_t index) {
    while (index >= sorted_) {
      Extend();
    }
    return items_[index];
  }

 private:
  void Extend() {
    const size_t end = std::min(items_.size(), std::max<size_t>(64, sorted_ * 4));
    const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    const auto middle = items_.begin() + static_cast<std::ptrdiff_t>(end);
    if (end < items_.size()) {
      std::nth_element(begin, middle, items_.end(), less_);
    }
    std::sort(begin, middle, less_);
    sorted_ = end;
  }

  std::span<T> items_;
  Less less_;
  size_t sorted_ = 0;
};

/// The `count` most likely tokens of `logits`, sorted, impossible ones left out; fewer if there are fewer.
/// O(V + count log count) for logits in no particular order. `result` is overwritten; its memory is reused.
void SelectTop(std::span<const float> logits, size_t count, std::vector<Candidate>& result);

/// The most likely token that `allowed` lets through, the lowest id on a tie; -1 if there is none.
/// `allowed` holds one bit per token, lowest bit of word 0 first; empty = all tokens.
[[nodiscard]] int32_t ArgMax(std::span<const float> logits, std::span<const uint32_t> allowed);

/// The working set of one choice. Not thread-safe; meant to be kept and loaded again, so that its memory is reused.
class Candidates {
 public:
  /// Starts over with a row of logits. Tokens whose bit in `allowed` is clear are impossible; empty = all allowed,
  /// else there must be a bit for every logit.
  void Load(std::span<const float> logits, std::span<const uint32_t> allowed);

  /// The greatest logit; kImpossible if nothing is left.
  [[nodiscard]] float MaxLogit() const;

  /// The number of tokens left that are possible.
  [[nodiscard]] size_t CountPossible() const;

  /// The sum of exp(logit - max) over all tokens, in double and in a fixed order. `max` must be MaxLogit().
  [[nodiscard]] double SumWeights(float max) const;

  /// Calls `f(candidate)` with each possible token, in a fixed order.
  template <typename F>
  void ForEach(F&& f) const;

  /// The same for the tokens whose logit is at least `threshold`: nearly free where these are few.
  template <typename F>
  void ForEachAtLeast(double threshold, F&& f) const;

  /// Replaces the logit of each token that is a key of `edits` and is still there by `f(logit, value)`, a double. A
  /// result that no float holds becomes the largest float; minus infinity makes the token impossible.
  template <typename V, typename F>
  void Edit(const std::unordered_map<int32_t, V>& edits, F&& f);

  /// Divides every logit by `divisor` > 0.
  void Divide(float divisor);

  /// Removes all but the `count` most likely tokens. count >= 1.
  void KeepTop(size_t count);

  /// Removes every token whose logit is below `threshold`.
  void KeepAtLeast(double threshold);

  /// Removes every token that is MoreLikely than `spared`.
  void RemoveMoreLikely(const Candidate& spared);

  /// The tokens as a list that may be reordered and edited, in a fixed order; makes the set sparse.
  [[nodiscard]] std::vector<Candidate>& List();

  /// The token at which the running sum of weights first exceeds `u` of their total; 0 <= u < 1. -1 if nothing is left.
  [[nodiscard]] int32_t DrawAt(double u) const;

  /// The most likely token, -1 if nothing is left.
  [[nodiscard]] int32_t MostLikely() const;

 private:
  static float FromDouble(double value);
  static float LowestFrom(double threshold);

  bool dense_ = true;
  std::vector<float> row_;       // by token id, when dense
  std::vector<Candidate> list_;  // when sparse
};

template <typename F>
void Candidates::ForEach(F&& f) const {
  if (!dense_) {
    std::for_each(list_.begin(), list_.end(), f);
    return;
  }
  for (size_t id = 0; id < row_.size(); ++id) {
    if (row_[id] != kImpossible) f(Candidate{static_cast<int32_t>(id), row_[id]});
  }
}

template <typename F>
void Candidates::ForEachAtLeast(double threshold, F&& f) const {
  const float bound = LowestFrom(threshold);
  if (dense_) {
    ForEachAbove<true>(
        row_, [&] { return bound; }, [&](size_t id) { f(Candidate{static_cast<int32_t>(id), row_[id]}); });
    return;
  }
  for (const Candidate& candidate : list_) {
    if (candidate.logit >= bound) f(candidate);
  }
}

template <typename V, typename F>
void Candidates::Edit(const std::unordered_map<int32_t, V>& edits, F&& f) {
  if (dense_) {
    for (const auto& [id, value] : edits) {
      if (id < 0 || static_cast<size_t>(id) >= row_.size()) continue;
      float& logit = row_[static_cast<size_t>(id)];
      if (logit != kImpossible) logit = FromDouble(f(double{logit}, value));
    }
    return;
  }
  for (Candidate& candidate : list_) {
    if (const auto found = edits.find(candidate.id); found != edits.end()) {
      candidate.logit = FromDouble(f(double{candidate.logit}, found->second));
    }
  }
  std::erase_if(list_, [](const Candidate& candidate) { return candidate.logit == kImpossible; });
}

}  // namespace kvasir::sampling
