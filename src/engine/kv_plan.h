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

/// Whether a codec of `spec` does better with a calibration and does without where there is none: fitted levels, and
/// errors of keys that are steered.
[[nodiscard]] bool UsesCalibration(const KvSpec& spec);

/// The calibration of the model, where `spec` wants one and it was made; null otherwise. Errors: a file that is there
/// and cannot be used.
[[nodiscard]] Result<std::unique_ptr<const CalibrationData>> CalibrationFor(const KvSpec& spec,
                                                                            const files::GgufFile& gguf,
                                                                            const std::string& model,
                                                                            const kvcache::KvShape& shape);

/// What a cache is told, and its specification with the budget in tokens.
struct CachePlan {
  KvSpec spec;
  kvcache::KvOptions options;
};
/// KvOptionsOf with the calibration that CalibrationFor finds for the model file `model`, and WithBudgetInTokens, for
/// sequences of at most `context_tokens` (0: what the model was trained for, and never less than that). Errors: those
/// of all three.
[[nodiscard]] Result<CachePlan> PlanCache(const KvSpec& spec, const files::GgufFile& gguf,
                                          const model::ModelConfig& config, const kvcache::KvShape& shape,
                                          const std::string& model, int context_tokens);

/// Tokens beyond the budget that decoding lets come before it evicts again.
inline constexpr int kEvictionSlack = 256;

/// `spec` with a budget in bytes replaced by the tokens that fit them: the pages of a sequence, and of kEvictionSlack
/// tokens more, take no more bytes. Others are returned as they are. kInvalidArgument where the bytes hold fewer tokens
/// than a budget has at least.
[[nodiscard]] Result<KvSpec> WithBudgetInTokens(KvSpec spec, const kvcache::KvShape& shape,
                                                const kvcache::KvLayout& layout, int context_tokens);

/// The tokens that each layer without a window and head keeps of a text of `text_tokens`, on average, where sequences
/// hold at most `context_tokens`. Where the context need not hold the whole text (KvSpec::endless), that leaves room in
/// it for what comes until the next eviction. `spec` evicts, by tokens or a share.
[[nodiscard]] int EvictionBudget(const KvSpec& spec, const kvcache::KvShape& shape, int context_tokens,
                                 int text_tokens);

/// What the policy of `spec` records, at most, of a sequence whose heads hold at most `tokens` tokens; 0 where nothing
/// is evicted. `heads`: of queries.
[[nodiscard]] size_t RecordBytes(const KvSpec& spec, const kvcache::KvShape& shape, int heads, int64_t tokens);

/// All that a sequence takes at most until it holds `context` tokens: its pages, the copies that an eviction makes
/// before the rest is free (of one layer, or where what is kept is numbered anew of all of that, because others may
/// share it), and what the policy records.
[[nodiscard]] size_t SequenceBytes(const KvSpec& spec, const kvcache::KvShape& shape, const kvcache::KvLayout& layout,
                                   int heads, int64_t context);

/// The attention of a model, as eviction policies see it.
[[nodiscard]] kvcache::AttentionTraits AttentionTraitsOf(const model::ModelConfig& config);

}  // namespace kvasir
