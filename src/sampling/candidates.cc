#include "sampling/candidates.h"

#include <cmath>

namespace kvasir::sampling {
namespace {

/// How many weights are added up before they join the total: a draw then walks block sums first, and long sums
/// lose less to rounding.
constexpr size_t kBlock = 1024;

bool IsAllowed(std::span<const uint32_t> allowed, size_t id) {
  return ((allowed[id / 32] >> (id % 32)) & 1U) != 0;
}

float LogitOf(float item) {
  return item;
}
float LogitOf(const Candidate& item) {
  return item.logit;
}

double SumBlock(std::span<const float> items, float max) {
  return SumOfWeights(items, max);
}

double SumBlock(std::span<const Candidate> items, float max) {
  double sum = 0;
  for (const Candidate& item : items) {
    sum += Weight(item.logit, max);
  }
  return sum;
}

template <typename T>
double SumAll(std::span<const T> items, float max) {
  double sum = 0;
  for (size_t begin = 0; begin < items.size(); begin += kBlock) {
    sum += SumBlock(items.subspan(begin, std::min(kBlock, items.size() - begin)), max);
  }
  return sum;
}

/// The index at which the running sum of weights first exceeds u times their total. One pass of exponentials: the
/// block sums of the first walk are kept, and only the block that holds the answer is walked again.
template <typename T>
size_t IndexAt(std::span<const T> items, float max, double u) {
  std::vector<double> sums;
  sums.reserve(items.size() / kBlock + 1);
  double total = 0;
  for (size_t begin = 0; begin < items.size(); begin += kBlock) {
    sums.push_back(SumBlock(items.subspan(begin, std::min(kBlock, items.size() - begin)), max));
    total += sums.back();
  }
  while (sums.back() == 0) sums.pop_back();  // ends: the greatest logit has weight 1
  double left = u * total;
  size_t block = 0;
  while (block + 1 < sums.size() && left >= sums[block]) {
    left -= sums[block++];
  }
  // Rounding may leave a hair of `left` after the last token: then the last token with any weight is meant.
  size_t last_possible = block * kBlock;
  for (size_t i = block * kBlock; i < std::min(items.size(), (block + 1) * kBlock); ++i) {
    const double weight = Weight(LogitOf(items[i]), max);
    if (weight > 0) last_possible = i;
    if (left < weight) return i;
    left -= weight;
  }
  return last_possible;
}

}  // namespace

void SelectTop(std::span<const float> logits, size_t count, std::vector<Candidate>& result) {
  result.clear();
  if (count == 0) return;
  count = std::min(count, logits.size());
  // Tokens above the threshold collect in a buffer; when it is full, the best `count` of them raise the threshold.
  // Ids come in ascending order, so a later token that only equals the worst of `count` kept ones loses the tie.
  const size_t capacity = std::max<size_t>(count * 2, 256);
  const auto kept = static_cast<std::ptrdiff_t>(count);
  result.reserve(std::min(capacity, logits.size()));
  float threshold = kImpossible;
  ForEachAbove<false>(
      logits, [&] { return threshold; },
      [&](size_t id) {
        result.push_back({static_cast<int32_t>(id), CleanLogit(logits[id])});
        if (result.size() < capacity) return;
        std::nth_element(result.begin(), result.begin() + (kept - 1), result.end(), MoreLikely);
        result.resize(count);
        threshold = result.back().logit;
      });
  if (result.size() > count) {
    std::nth_element(result.begin(), result.begin() + (kept - 1), result.end(), MoreLikely);
    result.resize(count);
  }
  std::sort(result.begin(), result.end(), MoreLikely);
}

int32_t ArgMax(std::span<const float> logits, std::span<const uint32_t> allowed) {
  float best = kImpossible;
  int32_t best_id = -1;
  ForEachAbove<false>(
      logits, [&] { return best; },
      [&](size_t id) {
        if (!allowed.empty() && !IsAllowed(allowed, id)) return;
        best = logits[id];
        best_id = static_cast<int32_t>(id);
      });
  return best_id;
}

float Candidates::FromDouble(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (!(value > double{kImpossible})) return kImpossible;
  return static_cast<float>(std::clamp(value, -kLargest, kLargest));
}

/// The smallest possible logit that is not below `threshold`, so that a comparison in float decides like one in double.
float Candidates::LowestFrom(double threshold) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  if (threshold <= double{kLowest}) return kLowest;
  const auto rounded = static_cast<float>(threshold);
  return double{rounded} < threshold ? std::nextafter(rounded, std::numeric_limits<float>::infinity()) : rounded;
}

void Candidates::Load(std::span<const float> logits, std::span<const uint32_t> allowed) {
  dense_ = true;
  list_.clear();
  row_.resize(logits.size());
  std::transform(logits.begin(), logits.end(), row_.begin(), CleanLogit);
  if (allowed.empty()) return;
  for (size_t id = 0; id < row_.size(); ++id) {
    if (!IsAllowed(allowed, id)) row_[id] = kImpossible;
  }
}

float Candidates::MaxLogit() const {
  if (dense_) return MaxOf(row_);
  float max = kImpossible;
  for (const Candidate& candidate : list_) {
    max = std::max(max, candidate.logit);
  }
  return max;
}

size_t Candidates::CountPossible() const {
  if (!dense_) return list_.size();
  return row_.size() - static_cast<size_t>(std::count(row_.begin(), row_.end(), kImpossible));
}

double Candidates::SumWeights(float max) const {
  if (max == kImpossible) return 0;
  return dense_ ? SumAll(std::span<const float>(row_), max) : SumAll(std::span<const Candidate>(list_), max);
}

void Candidates::Divide(float divisor) {
  if (dense_) {
    for (float& logit : row_) {
      logit = FromDouble(double{logit} / double{divisor});
    }
    return;
  }
  for (Candidate& candidate : list_) {
    candidate.logit = FromDouble(double{candidate.logit} / double{divisor});
  }
}

void Candidates::KeepTop(size_t count) {
  if (dense_) {
    SelectTop(row_, count, list_);
    dense_ = false;
    return;
  }
  const auto end = static_cast<std::ptrdiff_t>(std::min(list_.size(), count));
  std::partial_sort(list_.begin(), list_.begin() + end, list_.end(), MoreLikely);
  list_.resize(static_cast<size_t>(end));
}

void Candidates::KeepAtLeast(double threshold) {
  if (dense_) {
    ForEachAtLeast(threshold, [&](const Candidate& candidate) { list_.push_back(candidate); });
    dense_ = false;
  } else {
    const float bound = LowestFrom(threshold);
    std::erase_if(list_, [&](const Candidate& candidate) { return candidate.logit < bound; });
  }
}

void Candidates::RemoveMoreLikely(const Candidate& spared) {
  if (!dense_) {
    std::erase_if(list_, [&](const Candidate& candidate) { return MoreLikely(candidate, spared); });
    return;
  }
  ForEachAbove<true>(
      row_, [&] { return spared.logit; },
      [&](size_t id) {
        if (MoreLikely({static_cast<int32_t>(id), row_[id]}, spared)) row_[id] = kImpossible;
      });
}

std::vector<Candidate>& Candidates::List() {
  if (dense_) KeepAtLeast(double{kImpossible});
  return list_;
}

int32_t Candidates::DrawAt(double u) const {
  const float max = MaxLogit();
  if (max == kImpossible) return -1;
  if (dense_) return static_cast<int32_t>(IndexAt(std::span<const float>(row_), max, u));
  return list_[IndexAt(std::span<const Candidate>(list_), max, u)].id;
}

int32_t Candidates::MostLikely() const {
  if (dense_) return ArgMax(row_, {});
  const auto best = std::min_element(list_.begin(), list_.end(), MoreLikely);
  return best == list_.end() ? -1 : best->id;
}

}  // namespace kvasir::sampling
