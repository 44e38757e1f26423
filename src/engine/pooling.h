// One vector of many: how a text's vector is made of its tokens'.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace kvasir {

enum class Pooling {
  kMean,   ///< The average over all tokens, special ones included.
  kFirst,  ///< The first token's ([CLS]).
  kMax,    ///< The largest of each feature.
};
/// "mean", "cls" or "max".
[[nodiscard]] std::string_view PoolingName(Pooling pooling);

/// Takes the vectors of one text's tokens in order.
class Pool {
 public:
  Pool(Pooling pooling, size_t dimensions) : pooling_(pooling), sums_(dimensions) {}
  void Add(std::span<const float> row);
  /// The pooled vector, with `normalise` divided by its length (a vector of zeros stays one). At least one row was
  /// added.
  [[nodiscard]] std::vector<float> Take(bool normalise) const;

 private:
  Pooling pooling_;
  size_t rows_ = 0;
  std::vector<double> sums_;
};

}  // namespace kvasir
