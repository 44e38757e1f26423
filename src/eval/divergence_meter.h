// What the divergence of one configuration from exact mode comes to, position by position and chunk by chunk.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/distribution.h"
#include "eval/runner.h"
#include "kvasir/eval.h"

namespace kvasir::eval {

/// A quantity at every scored token, and its mean in each chunk: all chunks have equally many tokens, so the mean of
/// the chunks' means is that of the tokens.
class ByChunk {
 public:
  void Add(double value) { chunk_.push_back(value); }
  void EndChunk();
  /// Forgets what was added since the last chunk ended.
  void DropChunk() { chunk_.clear(); }

  /// Of the chunks that have ended.
  [[nodiscard]] const Sample& all() const { return all_; }
  [[nodiscard]] std::span<const double> means() const { return means_; }
  /// The interval of the mean, of whole chunks.
  [[nodiscard]] std::optional<Interval> Bootstrap(uint64_t seed) const;

 private:
  Sample all_;
  std::vector<double> chunk_;
  std::vector<double> means_;
};

/// The interval of exp(x), from that of x.
[[nodiscard]] std::optional<Interval> Exp(const std::optional<Interval>& interval);

class DivergenceMeter {
 public:
  void Add(const LockstepRow& row);
  void EndChunk();
  /// Forgets the chunk at hand, which was not computed to its end.
  void DropChunk();

  [[nodiscard]] int chunks() const { return static_cast<int>(chunk_klds().size()); }
  /// The mean KLD of each chunk that has ended.
  [[nodiscard]] std::span<const double> chunk_klds() const { return divergences_.means(); }
  [[nodiscard]] double mean_kld() const { return divergences_.all().Mean(); }
  /// Of the chunks that have ended; all but the seconds.
  [[nodiscard]] DivergenceReport Report(uint64_t seed) const;

 private:
  [[nodiscard]] std::array<ByChunk*, 5> all() {
    return {&divergences_, &same_top_, &losses_, &exact_losses_, &added_losses_};
  }

  ByChunk divergences_;
  ByChunk same_top_;
  ByChunk losses_;
  ByChunk exact_losses_;
  ByChunk added_losses_;
};

}  // namespace kvasir::eval
