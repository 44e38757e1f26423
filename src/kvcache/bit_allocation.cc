#include "kvcache/bit_allocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/check.h"

namespace kvasir::kvcache {
namespace {

constexpr double kUnitsPerBit = 128;  // an outlier of 32 bits among 64 * 64 elements is one unit
constexpr double kMostBits = 32;
constexpr double kImpossible = std::numeric_limits<double>::infinity();

size_t UnitsOf(double bits) {
  return static_cast<size_t>(std::ceil(bits * kUnitsPerBit));
}

Status CheckChoices(std::span<const std::vector<StorageChoice>> halves, double mean_bits) {
  // Comparisons that a NaN fails.
  if (!(mean_bits >= 0 && mean_bits <= kMostBits)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a budget of {} bits an element is not possible: 0 to {} are", mean_bits, kMostBits));
  }
  double fewest = 0;
  for (size_t h = 0; h < halves.size(); ++h) {
    double least = kImpossible;
    for (const StorageChoice& choice : halves[h]) {
      if (!(choice.bits >= 0 && choice.bits <= kMostBits && choice.loss >= 0 && choice.loss < kImpossible)) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("half {} has a choice of {} bits and loss {}: bits are 0 to "
                                "{}, losses at least 0 and finite",
                                h, choice.bits, choice.loss, kMostBits));
      }
      least = std::min(least, static_cast<double>(UnitsOf(choice.bits)) / kUnitsPerBit);
    }
    if (halves[h].empty()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("half {} has no choice of how to store it", h));
    }
    fewest += least;
  }
  if (fewest > mean_bits * static_cast<double>(halves.size())) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} bits an element are too few: the smallest choices take {:.3f} on average", mean_bits,
                            fewest / static_cast<double>(halves.size())));
  }
  return {};
}

}  // namespace

Result<std::vector<size_t>> AllocateBits(std::span<const std::vector<StorageChoice>> halves, double mean_bits) {
  KV_TRY(CheckChoices(halves, mean_bits));
  const auto budget = static_cast<size_t>(std::floor(mean_bits * kUnitsPerBit * static_cast<double>(halves.size())));
  // least[units]: the least loss of the halves so far that spend exactly so many units.
  std::vector<double> least(budget + 1, kImpossible);
  least[0] = 0;
  std::vector<std::vector<uint16_t>> chosen(halves.size(), std::vector<uint16_t>(budget + 1, 0));
  for (size_t h = 0; h < halves.size(); ++h) {
    std::vector<double> next(budget + 1, kImpossible);
    for (size_t c = 0; c < halves[h].size(); ++c) {
      const size_t units = UnitsOf(halves[h][c].bits);
      for (size_t spent = units; spent <= budget; ++spent) {
        const double loss = least[spent - units] + halves[h][c].loss;
        if (loss < next[spent]) {
          next[spent] = loss;
          chosen[h][spent] = static_cast<uint16_t>(c);
        }
      }
    }
    least = std::move(next);
  }
  // The first least element: of equal losses the fewest bits.
  auto spent = static_cast<size_t>(std::ranges::min_element(least) - least.begin());
  KV_CHECK(least[spent] < kImpossible);
  std::vector<size_t> result(halves.size());
  for (size_t h = halves.size(); h-- > 0;) {
    result[h] = chosen[h][spent];
    spent -= UnitsOf(halves[h][result[h]].bits);
  }
  return result;
}

}  // namespace kvasir::kvcache
