// One step of the model: the new tokens of one or more sequences, computed together.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

#include "engine/attention_record.h"
#include "engine/engine_impl.h"
#include "engine/shadow_check.h"
#include "kvcache/kv_sequence.h"

namespace kvasir {

/// What one sequence brings to a step: the tokens it was extended by since its last commit.
struct StepRows {
  kvcache::KvSequence* sequence = nullptr;
  /// The first of those tokens whose logits are wanted, counted from 0; their number or more: none.
  int first_logits = 0;
  /// Takes the logits [V] of token `index` (counted from 0), in ascending order, while the step is computed, or its
  /// vector [E] after the final norm where the step is asked for those; on any thread, side by side with other
  /// sequences'.
  std::function<void(int index, std::span<const float> logits)> on_logits;
  /// Sees the attention of these tokens, where an eviction policy needs it.
  AttentionRecord* record = nullptr;
  /// Compares the attention of these tokens with exact attention, where that was asked for.
  ShadowCheck* shadow = nullptr;
};

/// What the rows of a step are given: logits, or the vectors that the head would make them of.
enum class StepOutput : uint8_t { kLogits, kHidden };

/// Computes the open tokens of all `rows`, kMaxBatchRows at most in all, as one batch, and commits them. After an error
/// every sequence is as it was before it was extended. The results of a row do not depend on the others. Takes its turn
/// among all steps of the engine, in the order in which they came. Errors: kCancelled when `cancel` was seen set (it is
/// read at each layer), no memory. `probe` sees every layer's attention.
[[nodiscard]] Status RunStep(Engine::Impl& engine, std::span<const StepRows> rows, const std::atomic<bool>* cancel,
                             StepOutput output = StepOutput::kLogits, ops::AttentionProbe* probe = nullptr);

}  // namespace kvasir
