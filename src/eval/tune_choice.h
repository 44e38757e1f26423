// Which caches are worth measuring further, and which one is chosen: arithmetic over what was measured.
//
// The problem: a dozen caches at a dozen chunks take an hour, and most of them are out of the question after a few
// minutes. The idea: successive halving (Jamieson and Talwalkar, arXiv:1502.07943) with a test in place of the fixed
// halves: after 2, 4, 8, ... chunks a cache is given up when the interval of its KLD lies wholly above what is allowed,
// or when another one takes no more bytes, is not slower, and is better on the same chunks by a difference whose
// interval lies wholly above 0. Chunks are shared by all caches, so the difference is known far better than either KLD.
// With two chunks the interval is from the lower to the higher of the two: both have to speak against a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvasir/tune.h"

namespace kvasir::eval {

/// What is known of one cache. The vectors of all that are compared have the same length.
struct TuneSample {
  size_t bytes = 0;                ///< Held at the context.
  std::vector<double> chunk_klds;  ///< Mean KLD of each chunk.
  double tokens_per_second = 0;
};

/// Why a cache is not measured further.
struct TuneVerdict {
  TuneFate fate = TuneFate::kMeasured;
  std::optional<size_t> dominated_by;
};

/// Speeds that differ by less are the same.
inline constexpr double kSameSpeed = 1.03;

/// Whether caches are to be judged when so many chunks are done, of so many.
[[nodiscard]] constexpr bool IsRung(int done, int total) {
  return done >= 2 && done < total && (done & (done - 1)) == 0;
}

/// A verdict for each of `samples`. One that is dominated by a cache which is given up, too, is given up.
[[nodiscard]] std::vector<TuneVerdict> Judge(std::span<const TuneSample> samples, const TuneGoal& goal, uint64_t seed);

/// Marks TuneRow::on_frontier of the rows that were measured on all chunks.
void MarkFrontier(std::span<TuneRow> rows);

/// The row that satisfies the goal best, of those measured on all chunks; none where no row does. Of equal ones that
/// with the lower KLD (of the fewest bytes) or the fewer bytes (of the lowest KLD).
[[nodiscard]] std::optional<size_t> Choose(std::span<const TuneRow> rows, const TuneGoal& goal);

}  // namespace kvasir::eval
