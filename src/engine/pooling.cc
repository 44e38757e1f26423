#include "engine/pooling.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace kvasir {

std::string_view PoolingName(Pooling pooling) {
  switch (pooling) {
    case Pooling::kMean: return "mean";
    case Pooling::kFirst: return "cls";
    case Pooling::kMax: return "max";
  }
  return "?";
}

void Pool::Add(std::span<const float> row) {
  KV_CHECK(row.size() == sums_.size());
  if (rows_++ == 0) {
    std::copy(row.begin(), row.end(), sums_.begin());
    return;
  }
  if (pooling_ == Pooling::kFirst) return;
  for (size_t i = 0; i < row.size(); ++i) {
    sums_[i] = pooling_ == Pooling::kMax ? std::max(sums_[i], double{row[i]}) : sums_[i] + row[i];
  }
}

std::vector<float> Pool::Take(bool normalise) const {
  KV_CHECK(rows_ > 0);
  double squares = 0;
  for (const double sum : sums_) squares += sum * sum;
  double divisor = pooling_ == Pooling::kMean ? static_cast<double>(rows_) : 1;
  if (normalise) divisor = squares > 0 ? std::sqrt(squares) : 1;  // the length of the sum: the mean's direction
  std::vector<float> vector(sums_.size());
  for (size_t i = 0; i < vector.size(); ++i) vector[i] = static_cast<float>(sums_[i] / divisor);
  return vector;
}

}  // namespace kvasir
