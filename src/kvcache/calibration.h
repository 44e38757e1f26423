// Learning what an error in the cache costs: from queries and attention to the tables that encode_half.h works with.
//
// The problem: the encoder needs H, with e' H e the mean damage of an error e of one key (or value), for queries that
// do not exist yet. The idea: measure it on text. If the keys of a page are off by e_s, independently of each other,
// and o = sum p_s v_s is the output of a query q, then to first order o moves by sum_s p_s (q . e_s) (v_s - o), hence
//   E |moved|^2 = sum_s p_s^2 |v_s - o|^2 (q . e_s)^2 :
// H is the second moment of queries, each weighted by sum_s p_s^2 |v_s - o|^2 over the page (KeyErrorWeight). Queries
// that look at nothing here, or at what they already have, count little. Where keys are stored before RoPE, a query at
// distance m from the page counts as turned back by m (the caller does that, by whole pages). No gradients are needed;
// KVQuant (arXiv:2401.18079) uses the loss's squared gradients of each element, the diagonal of such a matrix.
//
// Errors of values add up to sum p_s e_s, so |moved|^2 is sum_s p_s^2 |e_s|^2 in the metric of what reads the output.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvcache/encode_half.h"
#include "kvcache/level_table.h"

namespace kvasir::kvcache {

/// What a squared error of q . k costs the output o [D] of one query over a page: sum of p^2 |v - o|^2, for the
/// probabilities p of the page's tokens (of all that the query sees) and their values [p.size()][D].
[[nodiscard]] double KeyErrorWeight(std::span<const float> p, std::span<const float> values, std::span<const float> o);

/// A weighted second moment, sum of weight * x x'. Not thread-safe; sum in parts and Merge.
class SecondMoment {
 public:
  /// Of vectors of `dim` numbers. No vectors: zero.
  explicit SecondMoment(int dim);

  void Add(std::span<const float> x, double weight);
  void Merge(const SecondMoment& other);

  [[nodiscard]] int dim() const { return dim_; }
  /// [dim][dim], symmetric.
  [[nodiscard]] std::span<const double> matrix() const { return sum_; }

 private:
  int dim_;
  std::vector<double> sum_;
};

/// How wide the ranges of features are: the mean over pages of (largest - least)^2 of each feature in a page. Decides
/// which features are rounded first.
class RangeMoment {
 public:
  explicit RangeMoment(int dim);

  /// One page x [64][dim].
  void Add(std::span<const float> x);
  void Merge(const RangeMoment& other);

  /// [dim]; 1 each if nothing was added.
  [[nodiscard]] std::vector<double> Mean() const;

 private:
  std::vector<double> sum_;
  int64_t pages_ = 0;
};

/// Where the numbers of each feature lie over a whole text, [D] each.
struct FeatureRanges {
  std::vector<float> least, most;
  std::vector<float> low, high;  ///< With so many numbers outside of them at either end as was asked for.
};

/// Finds them: the static ranges of KVQuant, which takes them from text instead of from the page it stores. Of each
/// feature it keeps the numbers at either end that may turn out to be outside, so memory goes with their share.
class FeatureTails {
 public:
  /// Of at most `tokens` tokens, of whose numbers `outside` (below 0.5) may lie beyond low, and as many beyond high.
  FeatureTails(int dim, int64_t tokens, double outside);

  /// Tokens x [n][dim]; numbers that are not finite do not count.
  void Add(std::span<const float> x);
  /// Empty if a feature got no number.
  [[nodiscard]] FeatureRanges Ranges() const;

 private:
  // The furthest numbers at one end: a heap whose front is the nearest of them.
  void Keep(std::vector<float>& heap, float x) const;
  [[nodiscard]] static float Nearest(std::vector<float> heap, size_t outside);

  double outside_;
  size_t kept_;
  std::vector<int64_t> counts_;                  // [dim]
  std::vector<std::vector<float>> most_, less_;  // [dim], of x and of -x
};

/// The calibration of one half from its H [D][D] and the squared ranges of its features [D] (all 1 where a scale
/// belongs to a token). `damping` times the mean of the diagonal is added to the diagonal: how far to trust H.
///
/// The feature rounded last can make up for all others and pays for the errors of none, so it is the cheapest, and so
/// on upwards: at each step, of those left, the one with the least d_k * range^2. On the keys of a 135M model that
/// leaves 33 % of the loss of plain rounding, where the features' own order leaves 52 % and the opposite one 66 %.
///
/// All zero: plain rounding with weights 1. H must be symmetric without negative eigenvalues, as SecondMoment's.
[[nodiscard]] HalfCalibration MakeCalibration(std::span<const double> h, std::span<const double> squared_ranges,
                                              double damping = 0.01);

/// H in the frame of blocks of 32 features times Sylvester's matrix, in which rotated halves are stored.
[[nodiscard]] std::vector<double> RotatedMetric(std::span<const double> h);

/// One number for FitLevels: where it lies in its group's range, which is [-1, 1], and what its squared error costs.
struct LevelSample {
  float position = 0;
  float weight = 0;
};

/// The 2^bits levels (bits 2 .. 5) of least weighted squared error for numbers like `samples` of which the outermost
/// stand at the ends of the range, -127 and 127, because that is where the encoder puts them (CoverRange): the
/// signposts of KVQuant's nuq, which k-means finds there and whose ends are free. In one dimension the best division
/// can be had outright, by dynamic programming (Wang and Song, "Ckmeans.1d.dp", The R Journal 2011), here over 512
/// bins: no start to choose, no local optimum, and never worse for these samples than evenly spaced levels but for the
/// rounding to bytes. Always increasing. With samples in fewer bins than levels: evenly spaced.
[[nodiscard]] std::vector<int8_t> FitLevels(int bits, std::span<const LevelSample> samples);

}  // namespace kvasir::kvcache
