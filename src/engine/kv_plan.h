// From a specification of the cache to what the cache is told.
#pragma once

#include "kvasir/kv_spec.h"
#include "kvasir/options.h"
#include "kvcache/eviction_driver.h"
#include "kvcache/kv_options.h"
#include "model/config.h"

namespace kvasir {

/// `spec` with "auto" replaced by what it means for `compute`.
[[nodiscard]] KvSpec ResolveKvSpec(const KvSpec& spec, ComputeMode compute);

/// What a resolved `spec` means for a model and sequences of at most `context_tokens`; budget and salts are left to the
/// caller. Errors: kInvalidArgument for layers that the model does not have, and for what the kernels cannot read.
[[nodiscard]] Result<kvcache::KvOptions> KvOptionsOf(const KvSpec& spec, const model::ModelConfig& config,
                                                     const kvcache::KvShape& shape, int context_tokens);

/// The attention of a model, as eviction policies see it.
[[nodiscard]] kvcache::AttentionTraits AttentionTraitsOf(const model::ModelConfig& config);

}  // namespace kvasir
