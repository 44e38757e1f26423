#include "kvcache/calibration.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/check.h"

namespace kvasir::kvcache {
namespace {

constexpr size_t kTokens = kernels::kPageTokens;
constexpr size_t kRotatedBlock = 32;

// The feature of least d * range^2 among those that are left, and its removal from what is left of H.
class Elimination {
 public:
  Elimination(std::span<const double> h, size_t dim, double added) : dim_(dim), left_(h.begin(), h.end()) {
    for (size_t i = 0; i < dim; ++i) left_[i * dim + i] += added;
  }

  double d(size_t feature) const { return left_[feature * dim_ + feature]; }
  double coefficient(size_t feature, size_t other) const { return left_[feature * dim_ + other] / d(feature); }

  void Remove(size_t feature) {
    std::vector<double> row(left_.begin() + static_cast<std::ptrdiff_t>(feature * dim_),
                            left_.begin() + static_cast<std::ptrdiff_t>((feature + 1) * dim_));
    const double pivot = row[feature];
    for (size_t i = 0; i < dim_; ++i) {
      const double factor = row[i] / pivot;
      for (size_t j = 0; j < dim_; ++j) left_[i * dim_ + j] -= factor * row[j];
    }
  }

 private:
  size_t dim_;
  std::vector<double> left_;
};

// A rotation of every block of one row or column, `stride` apart, divided by the block's length: then errors of rotated
// numbers, turned back.
void RotateBack(double* x, size_t dim, size_t stride) {
  for (size_t first = 0; first < dim; first += kRotatedBlock) {
    const size_t block = std::min(kRotatedBlock, dim - first);
    double* at = x + first * stride;
    for (size_t half = 1; half < block; half *= 2) {
      for (size_t i = 0; i < block; ++i) {
        if ((i & half) != 0) continue;
        const double a = at[i * stride];
        const double b = at[(i + half) * stride];
        at[i * stride] = a + b;
        at[(i + half) * stride] = a - b;
      }
    }
    for (size_t i = 0; i < block; ++i) at[i * stride] /= static_cast<double>(block);
  }
}

// Samples that lie close together: sums of weight, and of weight times position.
struct Bin {
  double weight = 0;
  double moment = 0;
};

// The bins of [-1, 1] that hold something, from left to right.
std::vector<Bin> Histogram(std::span<const LevelSample> samples) {
  constexpr int kBins = 512;
  std::vector<Bin> bins(kBins);
  for (const LevelSample& sample : samples) {
    if (!(sample.weight > 0) || !std::isfinite(sample.weight) || !std::isfinite(sample.position)) continue;
    const float place = (std::clamp(sample.position, -1.0F, 1.0F) + 1) / 2;
    Bin& bin = bins[static_cast<size_t>(std::min(kBins - 1, static_cast<int>(place * kBins)))];
    bin.weight += double{sample.weight};
    bin.moment += double{sample.weight} * double{sample.position};
  }
  std::erase_if(bins, [](const Bin& bin) { return bin.weight == 0; });
  return bins;
}

// What a level explains of its cell: the cell's sum of weight * position^2 less its loss. The first level of all stands
// at -1 and the last at 1, the others at the mean of their cell.
double Explained(const Bin& cell, bool first, bool last) {
  if (first) return -2 * cell.moment - cell.weight;
  if (last) return 2 * cell.moment - cell.weight;
  return cell.moment * cell.moment / cell.weight;
}

// The levels of the division of the bins into `count` runs whose loss is least in all. The sum of weight * position^2
// is the same however bins are divided: so what levels explain of it is made largest, over the first n bins in one more
// run at a time. There are at least `count` bins.
std::vector<double> BestLevels(const std::vector<Bin>& bins, size_t count) {
  const size_t n = bins.size();
  std::vector<Bin> before(n + 1);
  for (size_t i = 0; i < n; ++i) {
    before[i + 1] = {.weight = before[i].weight + bins[i].weight, .moment = before[i].moment + bins[i].moment};
  }
  const auto run = [&](size_t begin, size_t end) -> Bin {
    return {.weight = before[end].weight - before[begin].weight, .moment = before[end].moment - before[begin].moment};
  };
  constexpr double kImpossible = -std::numeric_limits<double>::infinity();
  std::vector<double> best(n + 1, kImpossible);  // of the first n bins in so many runs
  best[0] = 0;
  std::vector<std::vector<size_t>> begins(count, std::vector<size_t>(n + 1, 0));
  for (size_t r = 0; r < count; ++r) {
    std::vector<double> next(n + 1, kImpossible);
    for (size_t end = r + 1; end <= n; ++end) {
      for (size_t begin = r; begin < end; ++begin) {
        const double explained = best[begin] + Explained(run(begin, end), r == 0, r + 1 == count);
        if (explained > next[end]) {
          next[end] = explained;
          begins[r][end] = begin;
        }
      }
    }
    best = std::move(next);
  }
  std::vector<double> levels(count);
  size_t end = n;
  for (size_t r = count; r-- > 0;) {
    const Bin cell = run(begins[r][end], end);
    levels[r] = r == 0 ? -1 : r + 1 == count ? 1 : cell.moment / cell.weight;
    end = begins[r][end];
  }
  return levels;
}

size_t SideOf(std::span<const double> square) {
  const auto side = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(square.size()))));
  KV_CHECK(side * side == square.size());
  return side;
}

}  // namespace

double KeyErrorWeight(std::span<const float> p, std::span<const float> values, std::span<const float> o) {
  KV_CHECK(values.size() == p.size() * o.size());
  double sum = 0;
  for (size_t s = 0; s < p.size(); ++s) {
    double distance = 0;
    for (size_t d = 0; d < o.size(); ++d) {
      const double difference = double{values[s * o.size() + d]} - double{o[d]};
      distance += difference * difference;
    }
    sum += double{p[s]} * double{p[s]} * distance;
  }
  return sum;
}

SecondMoment::SecondMoment(int dim) : dim_(dim), sum_(static_cast<size_t>(dim) * static_cast<size_t>(dim), 0) {}

void SecondMoment::Add(std::span<const float> x, double weight) {
  KV_CHECK(std::ssize(x) == dim_);
  for (size_t i = 0; i < x.size(); ++i) {
    const double factor = weight * double{x[i]};
    double* row = &sum_[i * x.size()];
    for (size_t j = 0; j < x.size(); ++j) row[j] += factor * double{x[j]};
  }
}

void SecondMoment::Merge(const SecondMoment& other) {
  KV_CHECK(other.dim_ == dim_);
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] += other.sum_[i];
}

RangeMoment::RangeMoment(int dim) : sum_(static_cast<size_t>(dim), 0) {}

void RangeMoment::Add(std::span<const float> x) {
  KV_CHECK(x.size() == kTokens * sum_.size());
  for (size_t d = 0; d < sum_.size(); ++d) {
    float low = x[d];
    float high = x[d];
    for (size_t t = 1; t < kTokens; ++t) {
      low = std::min(low, x[t * sum_.size() + d]);
      high = std::max(high, x[t * sum_.size() + d]);
    }
    const double range = double{high} - double{low};
    sum_[d] += range * range;
  }
  pages_ += 1;
}

void RangeMoment::Merge(const RangeMoment& other) {
  KV_CHECK(other.sum_.size() == sum_.size());
  for (size_t d = 0; d < sum_.size(); ++d) sum_[d] += other.sum_[d];
  pages_ += other.pages_;
}

std::vector<double> RangeMoment::Mean() const {
  if (pages_ == 0) return std::vector<double>(sum_.size(), 1);
  std::vector<double> mean = sum_;
  for (double& square : mean) square /= static_cast<double>(pages_);
  return mean;
}

FeatureTails::FeatureTails(int dim, int64_t tokens, double outside)
    : outside_(outside),
      kept_(static_cast<size_t>(outside * static_cast<double>(tokens)) + 1),
      counts_(static_cast<size_t>(dim), 0),
      most_(static_cast<size_t>(dim)),
      less_(static_cast<size_t>(dim)) {
  KV_CHECK(outside >= 0 && outside < 0.5);
}

void FeatureTails::Keep(std::vector<float>& heap, float x) const {
  if (heap.size() == kept_) {
    if (x <= heap.front()) return;
    std::ranges::pop_heap(heap, std::greater{});
    heap.pop_back();
  }
  heap.push_back(x);
  std::ranges::push_heap(heap, std::greater{});
}

void FeatureTails::Add(std::span<const float> x) {
  KV_CHECK(x.size() % counts_.size() == 0);
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) continue;
    const size_t d = i % counts_.size();
    counts_[d] += 1;
    Keep(most_[d], x[i]);
    Keep(less_[d], -x[i]);
  }
}

float FeatureTails::Nearest(std::vector<float> heap, size_t outside) {
  std::ranges::sort(heap, std::greater{});
  return heap[std::min(outside, heap.size() - 1)];
}

FeatureRanges FeatureTails::Ranges() const {
  if (std::ranges::count(counts_, 0) > 0) return {};
  FeatureRanges ranges;
  for (size_t d = 0; d < counts_.size(); ++d) {
    const auto outside = static_cast<size_t>(outside_ * static_cast<double>(counts_[d]));
    ranges.least.push_back(-Nearest(less_[d], 0));
    ranges.most.push_back(Nearest(most_[d], 0));
    ranges.low.push_back(-Nearest(less_[d], outside));
    ranges.high.push_back(Nearest(most_[d], outside));
  }
  return ranges;
}

HalfCalibration MakeCalibration(std::span<const double> h, std::span<const double> squared_ranges, double damping) {
  const size_t dim = squared_ranges.size();
  KV_CHECK(h.size() == dim * dim && damping > 0);
  HalfCalibration calibration;
  double trace = 0;
  for (size_t i = 0; i < dim; ++i) trace += h[i * dim + i];
  if (!(trace > 0)) return calibration;
  const double mean = trace / static_cast<double>(dim);
  // Only ratios matter, so the mean weight is 1 and no size of the activations leaves the range of floats.
  calibration.weight.resize(dim);
  for (size_t i = 0; i < dim; ++i) {
    calibration.weight[i] = static_cast<float>((h[i * dim + i] / mean + damping) / (1 + damping));
  }
  Elimination left(h, dim, damping * mean);
  std::vector<uint8_t> placed(dim, 0);
  std::vector<uint16_t> order(dim);
  std::vector<double> rows(dim * dim, 0);  // F with columns still by feature
  for (size_t k = dim; k-- > 0;) {
    size_t cheapest = dim;
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < dim; ++i) {
      if (placed[i] != 0) continue;
      const double loss = left.d(i) * squared_ranges[i];
      if (cheapest == dim || loss < least) {
        least = loss;
        cheapest = i;
      }
    }
    placed[cheapest] = 1;
    order[k] = static_cast<uint16_t>(cheapest);
    for (size_t i = 0; i < dim; ++i) {
      if (placed[i] == 0) rows[k * dim + i] = left.coefficient(cheapest, i);
    }
    left.Remove(cheapest);
  }
  calibration.feedback.assign(dim * dim, 0);
  for (size_t k = 0; k < dim; ++k) {
    for (size_t i = 0; i < k; ++i) calibration.feedback[k * dim + i] = static_cast<float>(rows[k * dim + order[i]]);
  }
  calibration.order = std::move(order);
  return calibration;
}

std::vector<double> RotatedMetric(std::span<const double> h) {
  const size_t dim = SideOf(h);
  std::vector<double> rotated(h.begin(), h.end());
  for (size_t i = 0; i < dim; ++i) RotateBack(&rotated[i * dim], dim, 1);
  for (size_t j = 0; j < dim; ++j) RotateBack(&rotated[j], dim, dim);
  return rotated;
}

std::vector<int8_t> FitLevels(int bits, std::span<const LevelSample> samples) {
  KV_CHECK(bits >= 2 && bits <= 5);
  const size_t count = size_t{1} << bits;
  std::vector<int8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = kernels::UniformLevel(bits, static_cast<int>(i));
  const std::vector<Bin> bins = Histogram(samples);
  if (bins.size() < count) return bytes;
  const std::vector<double> level = BestLevels(bins, count);
  constexpr int kLargest = 127;
  for (size_t i = 0; i < count; ++i) {
    const double byte = level[i] * kLargest;
    // Room for the levels above and below, so that no two become one when rounded.
    const int least = i == 0 ? -kLargest : bytes[i - 1] + 1;
    const int most = kLargest - static_cast<int>(count - 1 - i);
    bytes[i] = static_cast<int8_t>(std::clamp(static_cast<int>(std::lround(byte)), least, most));
  }
  return bytes;
}

}  // namespace kvasir::kvcache
