// What a sampling technique is: a stage that edits or removes candidates.
//
// One technique = one file in stages/, which defines one StageInfo (its name, the check of its options, how to build
// it), plus one line in registry.cc. docs/adding-a-sampler.md walks through it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kvasir/result.h"
#include "kvasir/sampling.h"
#include "sampling/candidates.h"

namespace kvasir::sampling {

/// Who asks for random numbers. Each has its own stream, so that turning one on does not shift the others.
enum class RandomStream : uint32_t { kDraw = 0, kXtc = 1 };

/// The randomness of one choice: a pure function of the seed and of how many tokens came before.
struct Randomness {
  uint64_t seed = 0;
  uint64_t position = 0;

  /// Uniform in [0, 1), always the same for the same stream.
  [[nodiscard]] double Uniform(RandomStream stream) const;
};

/// The text of a token as it is shown to the user; empty for a token that has none.
using TokenText = std::function<std::string(int32_t id)>;

/// What a stage may need besides the options.
struct StageInputs {
  int32_t vocab_size = 0;
  TokenText token_text;
};

/// One technique, set up for one request.
class Stage {
 public:
  virtual ~Stage() = default;

  /// Edits or removes candidates. Leaves at least one of those that were possible, unless the user bans them.
  virtual void Apply(Candidates& candidates, std::span<const int32_t> history, const Randomness& randomness) const = 0;

  /// A token was appended: it is the last of `history`. The token may be outside the vocabulary.
  virtual void Accept(std::span<const int32_t> /*history*/) {}

  /// Its name and settings, for example "top_k(40)".
  [[nodiscard]] virtual std::string Describe() const = 0;

  /// A copy with the same state.
  [[nodiscard]] virtual std::unique_ptr<Stage> Clone() const = 0;
};

/// What a stage does decides when it is skipped.
enum class StageKind {
  kLogits,       ///< Edits the logits of single tokens: always runs.
  kTruncation,   ///< Removes tokens by probability: greedy and mirostat do without.
  kTemperature,  ///< Scales all logits: greedy does without.
};

/// The entry of a technique in the registry.
struct StageInfo {
  std::string_view name;   ///< As in SamplingOptions::order.
  std::string_view alias;  ///< Another spelling that ParseSamplingOrder takes, or empty.
  StageKind kind = StageKind::kLogits;

  /// Checks the options of this stage, whether it is on or not. `vocab_size` 0 = unknown.
  Status (*validate)(const SamplingOptions& options, int vocab_size) = nullptr;

  /// Builds the stage from valid options; a null pointer if they turn it off.
  Result<std::unique_ptr<Stage>> (*create)(const SamplingOptions& options, const StageInputs& inputs) = nullptr;
};

// Defined each in its own file of stages/.
extern const StageInfo kLogitBiasStage;
extern const StageInfo kPenaltiesStage;
extern const StageInfo kDryStage;
extern const StageInfo kTopNSigmaStage;
extern const StageInfo kTopKStage;
extern const StageInfo kTypicalPStage;
extern const StageInfo kTopPStage;
extern const StageInfo kMinPStage;
extern const StageInfo kXtcStage;
extern const StageInfo kTemperatureStage;

}  // namespace kvasir::sampling
