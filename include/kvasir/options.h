/// @file
/// What a user may choose when a model is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/kv_spec.h"
#include "kvasir/result.h"

namespace kvasir {

/// How activations are represented in the products with the weights. Weights are always what the file holds.
/// docs/quality.md has the measured frontier of divergence against speed.
enum class ComputeMode {
  kFast,      ///< 8-bit activations with a scale per 32 values everywhere.
  kBalanced,  ///< 8-bit, but 15-bit where it buys most (see model/precision.h). The default.
  kPrecise,   ///< 15-bit activations everywhere: twice the arithmetic, none of the loss.
  kExact,     ///< f32 activations, f32 cache: the truth that everything else is measured against.
};

/// One step of loading, for a progress bar.
struct LoadProgress {
  std::string_view phase;  ///< For example "packing weights".
  size_t done_bytes = 0;   ///< Of the phase.
  size_t total_bytes = 0;  ///< Of the phase.
};

/// Options of Engine::Load.
struct EngineOptions {
  /// Path of a GGUF file (the first part of a split one), or the name of an installed model ("smollm2").
  std::string model;
  /// How exact the arithmetic is.
  ComputeMode compute = ComputeMode::kBalanced;
  /// How keys and values are stored.
  KvSpec kv;
  /// Worker threads, the caller's included. 0: one per CPU this process may run on.
  int threads = 0;
  /// Tokens a sequence may hold. 0: the context the model was trained for, or where memory is short the longest
  /// multiple of 256 that fits.
  int context_tokens = 0;
  /// Upper bound of all KV pages, in bytes. 0: what one sequence of `context_tokens` needs.
  size_t kv_budget_bytes = 0;
  /// Keep the packed weights in ${XDG_CACHE_HOME:-~/.cache}/kvasir/packed, as large as the model, and read them from
  /// there at the next start. A file that does not belong to the model, or was damaged, is ignored and written anew.
  bool packed_cache = false;
  /// Called on the loading thread.
  std::function<void(const LoadProgress&)> on_progress;
};

/// Parses "fast", "balanced", "precise" or "exact". The error lists them.
[[nodiscard]] Result<ComputeMode> ParseComputeMode(std::string_view name);
/// The name that ParseComputeMode reads.
[[nodiscard]] std::string_view ComputeModeName(ComputeMode mode);

/// Turns a model name or path into a path: an existing one is returned as it is, a name (of a GGUF file without its
/// ending, or of an encoder's folder) is looked up in
/// $KVASIR_MODELS, or else ${XDG_CACHE_HOME:-~/.cache}/kvasir/models. The error lists what is installed.
[[nodiscard]] Result<std::string> ResolveModel(std::string_view name_or_path);
/// The names that ResolveModel finds in that folder, sorted.
[[nodiscard]] std::vector<std::string> InstalledModels();

}  // namespace kvasir
