// What all handlers share: the model, once it is loaded, and the server's own state.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kvasir/embedding.h"
#include "kvasir/engine.h"
#include "kvasir/scheduler.h"
#include "server/embedding_queue.h"
#include "server/json.h"
#include "server/metrics.h"
#include "server/tools/tool_prompt.h"

namespace kvasir::server {

/// Sampling of requests that say nothing: OpenAI's defaults, which change nothing of what the model says.
struct SamplingDefaults {
  float temperature = 1;
  float top_p = 1;
  int top_k = 0;
  float min_p = 0;
};

/// A loaded model and what serves it.
struct Model {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Scheduler> scheduler;
  const ChatTemplate* chat_template = nullptr;  ///< Null for base models.
  std::optional<ChatTemplate> given_template;   ///< Where it is not the model's own.
  std::string chat_template_problem;            ///< Why it is null.
  ToolDialect tools;                            ///< Of its template.
  std::string id;                               ///< What requests call it.
  int64_t created = 0;                          ///< Seconds since 1970.
  size_t request_kv_bytes = 0;                  ///< Of the cache, for one request of full length.
  std::string fingerprint;                      ///< Changes with whatever may change an answer: build, file, precision.
};

/// What turns texts into vectors, and the queue before it.
struct EmbeddingModel {
  std::unique_ptr<Embedder> embedder;
  std::unique_ptr<EmbeddingQueue> queue;
  std::string id;        ///< What requests call it.
  int64_t created = 0;   ///< Seconds since 1970.
  bool separate = true;  ///< Whether it is a model of its own, and not `Model` under another aspect.
};

/// All that a server serves. At least one of the two is there.
struct Served {
  std::unique_ptr<Model> model;  ///< Null where there are embeddings only.
  std::unique_ptr<EmbeddingModel> embedding;
};

struct App {
  SamplingDefaults sampling;
  JsonLimits json_limits;
  bool metric_aliases = true;
  std::string version;
  Metrics metrics;
  std::function<int()> connections = [] { return 0; };

  /// Whether the models are loaded.
  [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }
  /// Null while it loads, and where there are embeddings only.
  [[nodiscard]] const Model* model() const { return ready() ? served_.model.get() : nullptr; }
  /// Null while it loads.
  [[nodiscard]] const EmbeddingModel* embedding() const { return ready() ? served_.embedding.get() : nullptr; }
  void SetServed(Served served) {
    served_ = std::move(served);
    ready_.store(true, std::memory_order_release);
  }

 private:
  Served served_;
  std::atomic<bool> ready_{false};
};

}  // namespace kvasir::server
