// `kvasir serve`: load a model, answer requests, stop in order.
#pragma once

#include <functional>
#include <string>

#include "kvasir/engine.h"
#include "kvasir/inspect.h"
#include "kvasir/result.h"
#include "server/settings.h"

namespace kvasir::server {

/// A server that is ready.
struct ReadyServer {
  std::string url;
  std::string model;            ///< Empty where there are embeddings only.
  std::string embedding_model;  ///< Perhaps the same.
  bool open = false;            ///< Other machines can reach it, and it has no keys.
};

/// What the command line gives and is told.
struct ServeHooks {
  std::string version;
  /// Loads a model, with a progress bar perhaps.
  std::function<Result<std::unique_ptr<Engine>>(const EngineOptions&)> load;
  /// The server answers and the models are loaded. Called once.
  std::function<void(const ReadyServer& ready)> on_ready;
};

/// Serves until SIGINT or SIGTERM, and gives the exit code. While the model loads, /health answers 503. Errors: what
/// cannot be read, an address that cannot be used, memory that does not suffice (with numbers), whatever loading says.
[[nodiscard]] Result<int> Serve(const ServeSettings& settings, const ServeHooks& hooks);

/// The bytes that remain for the cache of a model when `memory_bytes` hold everything (0: up to half of what is free),
/// also what embeddings take: `taken_bytes` of a model of their own, or with 0 the pages that the model itself needs.
/// An error names the numbers, and the nearest context that would fit, when not even one full request would.
[[nodiscard]] Result<size_t> KvBudgetOf(const ModelSummary& summary, size_t memory_bytes, size_t taken_bytes);

}  // namespace kvasir::server
