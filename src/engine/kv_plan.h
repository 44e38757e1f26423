// From a specification of the cache to what the cache is told.
#pragma once

#include <memory>
#include <string>

#include "engine/calibration_file.h"
#include "kvasir/kv_spec.h"
#include "kvasir/options.h"
#include "kvcache/eviction_driver.h"
#include "kvcache/kv_options.h"
#include "model/config.h"

namespace kvasir {

/// `spec` with "auto" replaced by what it means for `compute`.
[[nodiscard]] KvSpec ResolveKvSpec(const KvSpec& spec, ComputeMode compute);

/// What a resolved `spec` means for a model and sequences of at most `context_tokens`; budget and salts are left to the
/// caller. `calibration` may be null: codecs then round plainly. Errors: kInvalidArgument for layers that the model
/// does not have, and for what the kernels cannot read.
[[nodiscard]] Result<kvcache::KvOptions> KvOptionsOf(const KvSpec& spec, const model::ModelConfig& config,
                                                     const kvcache::KvShape& shape, int context_tokens,
                                                     const CalibrationData* calibration);

/// A specification of bits with the codecs that meet it: for each layer's keys and values those of least measured loss
/// together. Others are returned as they are. kInvalidArgument, with the way out, where the calibration lacks or does
/// not know the losses, or there is no codec of so few bits.
[[nodiscard]] Result<KvSpec> WithBitsByLayer(const KvSpec& spec, const CalibrationData* calibration, int head_dim);

/// Whether a codec of `spec` can use a calibration.
[[nodiscard]] bool WantsCalibration(const KvSpec& spec);

/// The calibration of the model, where `spec` wants one and it was made; null otherwise. Errors: a file that is there
/// and cannot be used.
[[nodiscard]] Result<std::unique_ptr<const CalibrationData>> CalibrationFor(const KvSpec& spec,
                                                                            const files::GgufFile& gguf,
                                                                            const std::string& model,
                                                                            const kvcache::KvShape& shape);

/// KvOptionsOf with the calibration that CalibrationFor finds for the model file `model`, for sequences of at most
/// `context_tokens` (0: what the model was trained for, and never less than that). Errors: those of both.
[[nodiscard]] Result<kvcache::KvOptions> PlanCache(const KvSpec& spec, const files::GgufFile& gguf,
                                                   const model::ModelConfig& config, const kvcache::KvShape& shape,
                                                   const std::string& model, int context_tokens);

/// What an eviction from a context of `context` tokens takes beside the `peak_bytes` of its pages at most, because what
/// is kept is copied before the rest is free: one layer's, or where it is numbered anew all that is kept (of pages that
/// others share).
[[nodiscard]] size_t EvictionBytes(const KvSpec& spec, const kvcache::KvShape& shape, const kvcache::KvLayout& layout,
                                   int context, size_t peak_bytes);

/// The attention of a model, as eviction policies see it.
[[nodiscard]] kvcache::AttentionTraits AttentionTraitsOf(const model::ModelConfig& config);

}  // namespace kvasir
