// From a row of logits to a token.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvasir/result.h"
#include "kvasir/sampling.h"
#include "sampling/candidates.h"
#include "sampling/mirostat.h"
#include "sampling/stage.h"

namespace kvasir::sampling {

/// Chooses the tokens of one sequence. One object per sequence; not thread-safe, but objects are independent.
///
/// A choice is a pure function of the options, the seed, the accepted tokens and the logits: neither threads nor
/// other sequences nor earlier calls of Sample matter. Sample changes nothing; Accept moves on.
class Sampler {
 public:
  /// Checks the options against the vocabulary and sets up the stages. `token_text` is needed by DRY's sequence
  /// breakers only and is called once per accepted token. Draws a seed if none is set.
  [[nodiscard]] static Result<Sampler> Create(SamplingOptions options, int32_t vocab_size, TokenText token_text = {});

  /// Chooses a token. `logits`: one per token of the vocabulary. `allowed`: one bit per token (bit i % 32 of word i /
  /// 32), or empty for all; a token whose bit is clear is never chosen. NaN counts as minus infinity, plus infinity as
  /// the largest float. An error if a size is wrong, or if no allowed token has a logit above minus infinity.
  [[nodiscard]] Result<int32_t> Sample(std::span<const float> logits, std::span<const uint32_t> allowed = {});

  /// Appends a token to the history that penalties and DRY look at and that advances the random numbers: every
  /// chosen token, and before those the prompt's. An id outside the vocabulary is kept and has no effect.
  void Accept(int32_t token);

  /// What happens to the logits, in order and with settings, for example
  /// "top_k(40) > top_p(0.95) > temperature(0.8) > draw(seed 42)". Stages that are off do not appear; those that are on
  /// but left out of `order` are named at the end.
  [[nodiscard]] std::string DescribeChain() const;

  /// A sampler that continues from the same point, independently.
  [[nodiscard]] Sampler Clone() const;

  /// The seed in use: the one asked for, or the one drawn.
  [[nodiscard]] uint64_t seed() const { return *options_.seed; }
  /// The options in use, `seed` set.
  [[nodiscard]] const SamplingOptions& options() const { return options_; }
  /// All accepted tokens.
  [[nodiscard]] std::span<const int32_t> history() const { return history_; }

 private:
  Sampler(SamplingOptions options, int32_t vocab_size) : options_(std::move(options)), vocab_size_(vocab_size) {}

  [[nodiscard]] bool greedy() const;
  [[nodiscard]] bool IsSkipped(StageKind kind) const;
  [[nodiscard]] Status AddStage(const StageInfo& info, const StageInputs& inputs);
  [[nodiscard]] Status AddStages(const StageInputs& inputs);
  [[nodiscard]] int32_t Choose();

  SamplingOptions options_;
  int32_t vocab_size_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<std::string> left_out_;  // stages that are on, but not in the order
  std::optional<Mirostat> mirostat_;
  std::vector<int32_t> history_;
  Candidates candidates_;  // scratch memory of Sample
};

}  // namespace kvasir::sampling
