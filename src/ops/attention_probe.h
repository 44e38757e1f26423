// Looking at attention while a model runs: for calibration, for eviction policies that ask what is attended to, and for
// checks against exact attention.
#pragma once

#include "ops/batch.h"

namespace kvasir::ops {

struct AttentionSpec;

class AttentionProbe {
 public:
  virtual ~AttentionProbe() = default;
  /// Called at every layer before it attends: k and v [B, KVH, D], keys rotated, as they were before a cache had them.
  virtual void OnKeys(const Batch& /*batch*/, const AttentionSpec& /*spec*/, const float* /*k*/, const float* /*v*/) {}
  /// Called at every layer when it has attended, on the thread of the forward pass. q [B, H, D]: the queries, rotated
  /// and not scaled; out [B, H, D]: what attention gave. Keys and values, those of the step included, are in the pages
  /// of the batch's views.
  virtual void OnAttention(const Batch& batch, const AttentionSpec& spec, const float* q, const float* out) = 0;
};

}  // namespace kvasir::ops
