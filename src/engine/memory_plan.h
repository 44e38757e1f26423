// From a file's metadata to what loading it means: facts for the user, bytes for the budget.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "files/gguf_reader.h"
#include "kvasir/engine.h"
#include "kvcache/kv_options.h"
#include "model/config.h"

namespace kvasir {

/// How much memory an engine will take and how its cache is cut.
struct EngineMemory {
  int context_tokens = 0;
  size_t weight_bytes = 0;
  size_t activation_bytes = 0;
  size_t kv_budget_bytes = 0;
  size_t kv_context_bytes = 0;    // one sequence of the whole context, with what an eviction needs beside its pages
  size_t kv_bytes_per_token = 0;  // where no layer has a window
  size_t available_bytes = 0;     // of the machine, now
  KvSpec kv;                      // with the budget in tokens
  kvcache::KvShape kv_shape;
  kvcache::KvOptions kv_options;
};

/// Plans memory for `options` (filled in). With context_tokens == 0 the context is the trained one, or less where the
/// machine's memory does not hold that. Errors: kResourceExhausted, with all the numbers and the context that would
/// fit.
[[nodiscard]] Result<EngineMemory> PlanMemory(const files::GgufFile& gguf, const model::ModelConfig& config,
                                              const EngineOptions& options);

/// What the metadata says about a model.
[[nodiscard]] ModelInfo InfoOf(const files::GgufFile& gguf, const model::ModelConfig& config, const std::string& path);

/// The tokenizer in `gguf`.
[[nodiscard]] Result<std::unique_ptr<Tokenizer>> TokenizerOf(const files::GgufFile& gguf);

/// The chat template in `gguf`; kNotFound where there is none.
[[nodiscard]] Result<ChatTemplate> ChatTemplateOf(const files::GgufFile& gguf, const Tokenizer& tokenizer);

/// Bytes that new allocations may take before the system swaps or kills: the smaller of the machine's and the control
/// group's.
[[nodiscard]] size_t AvailableMemoryBytes();

}  // namespace kvasir
