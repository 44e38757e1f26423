// A loaded model: its shape, its weights, and its forward pass.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "files/gguf_reader.h"
#include "kvasir/options.h"
#include "kvasir/result.h"
#include "model/config.h"
#include "ops/batch.h"
#include "ops/operators.h"

namespace kvasir::model {

/// How weights are to be loaded.
struct LoadOptions {
  ComputeMode compute = ComputeMode::kPrecise;
  base::ThreadPool* pool = nullptr;
  int max_rows = 512;        ///< The largest batch Forward will be given.
  std::string packed_cache;  ///< File of packed weights to read, or to write when it is not of this model; empty: none.
  int context_tokens = 0;    ///< The longest sequence wanted; 0: the trained context. Some rotations depend on it.
  std::function<void(const LoadProgress&)> on_progress;
};

/// Takes the logits [n, V] of some wanted rows, the first of which is the `first`-th; with Batch::hidden their vectors
/// [n, E] after the final norm.
using LogitSink = std::function<void(int first, std::span<const float> logits)>;

/// One architecture's weights and forward pass. A model is used by one forward pass at a time.
class Model {
 public:
  virtual ~Model() = default;

  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  /// Bytes of packed weights and buffers of our own.
  [[nodiscard]] virtual size_t weight_bytes() const = 0;
  /// Bytes of weights that one token reads.
  [[nodiscard]] virtual size_t weight_bytes_per_token() const = 0;
  /// Multiply-adds of one token in the products with weights, without and with the head.
  [[nodiscard]] virtual int64_t body_macs() const = 0;
  [[nodiscard]] virtual int64_t head_macs() const = 0;
  [[nodiscard]] virtual size_t activation_bytes() const = 0;

  /// Computes `batch`: stores keys and values of every row in the reserved slots, and gives `on_logits` the logits of
  /// batch.logit_rows, some rows at a time, in order; they are valid during the call. With batch.hidden it is given the
  /// rows' vectors after the final norm, in f32, and the head is not computed. The sink may use the threads of the
  /// pool. Errors: kCancelled (the flag is read at every layer), kResourceExhausted when there is no memory for logits.
  [[nodiscard]] virtual Status Forward(const ops::Batch& batch, const LogitSink& on_logits) = 0;
};

/// Loads the model in `gguf`, which must outlive it. Errors: an architecture Kvasir does not know (the message lists
/// the known ones), missing or misshapen tensors, metadata out of range, no memory.
[[nodiscard]] Result<std::unique_ptr<Model>> LoadModel(const files::GgufFile& gguf, const LoadOptions& options);

/// Reads and checks the configuration alone.
[[nodiscard]] Result<ModelConfig> ReadConfig(const files::GgufFile& gguf, int context_tokens);

/// The known architectures.
[[nodiscard]] std::vector<std::string> KnownArchitectures();

/// Bytes that the weights of `gguf` will take in our memory, and the activations of batches of `max_rows`.
struct WeightPlan {
  size_t weight_bytes = 0;
  size_t activation_bytes = 0;
};
[[nodiscard]] Result<WeightPlan> PlanWeights(const files::GgufFile& gguf, ComputeMode compute, int max_rows);

}  // namespace kvasir::model
