// One step's work: the rows of all sequences that are computed together.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "kvcache/view.h"

namespace kvasir::ops {

/// The rows of one sequence within a batch: the `kv->num_new` tokens that its cache has reserved, in order.
struct SequenceRows {
  const kvcache::KvView* kv = nullptr;
  int first_row = 0;
  int num_rows = 0;
};

class AttentionProbe;

/// A ragged batch of B rows, one per token. Plain data; everything it points to outlives the step.
struct Batch {
  std::span<const int32_t> tokens;     // [B]
  std::span<const int32_t> positions;  // [B]
  std::span<const SequenceRows> sequences;
  std::span<const int32_t> logit_rows;  // rows whose logits are wanted, ascending
  bool hidden = false;                  // not their logits, but their vectors after the final norm are wanted
  const std::atomic<bool>* cancel = nullptr;
  AttentionProbe* probe = nullptr;  // sees every layer's attention

  [[nodiscard]] int rows() const { return static_cast<int>(tokens.size()); }
  [[nodiscard]] bool cancelled() const { return cancel != nullptr && cancel->load(std::memory_order_relaxed); }
};

}  // namespace kvasir::ops
