#include "engine/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"

namespace kvasir {
namespace {

constexpr int kContextStep = 256;                    // contexts that we choose are multiples of it
constexpr size_t kReserveBytes = size_t{256} << 20;  // left to the rest of the process and the system

std::string Megabytes(size_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// One number of a file such as /proc/meminfo ("MemAvailable:  123 kB") or a control group ("123" or "max").
size_t ReadNumber(const char* path, std::string_view label) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (!label.empty() && word != label) continue;
    if (!label.empty() && !(file >> word)) return 0;
    try {
      return std::stoull(word);
    } catch (...) {
      return 0;
    }
  }
  return 0;
}

size_t ContextBytes(const EngineMemory& memory, int heads, int context) {
  return SequenceBytes(memory.kv, memory.kv_shape, memory.kv_options.layout(), heads, context);
}

int LargestContext(const EngineMemory& memory, int heads, int at_most, size_t bytes) {
  int low = 0;
  int high = at_most / kContextStep;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (ContextBytes(memory, heads, middle * kContextStep) <= bytes) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low * kContextStep;
}

}  // namespace

size_t AvailableMemoryBytes() {
  size_t available = ReadNumber("/proc/meminfo", "MemAvailable:") * 1024;
  const size_t limit = ReadNumber("/sys/fs/cgroup/memory.max", "");
  const size_t used = ReadNumber("/sys/fs/cgroup/memory.current", "");
  if (limit > 0) available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

Result<EngineMemory> PlanMemory(const files::GgufFile& gguf, const model::ModelConfig& config,
                                const EngineOptions& options) {
  EngineMemory memory;
  KV_ASSIGN(const model::WeightPlan weights, model::PlanWeights(gguf, options.compute, kMaxBatchRows));
  memory.weight_bytes = weights.weight_bytes;
  memory.activation_bytes = weights.activation_bytes;
  memory.available_bytes = AvailableMemoryBytes();

  memory.kv_shape = {config.layers, config.kv_heads, config.head_dim, config.windows};
  KV_TRY(memory.kv_shape.Validate());
  KV_ASSIGN(CachePlan cache,
            PlanCache(options.kv, gguf, config, memory.kv_shape, options.model, options.context_tokens));
  memory.kv = std::move(cache.spec);
  memory.kv_options = std::move(cache.options);
  memory.kv_bytes_per_token = kvcache::BytesPerToken(memory.kv_shape, memory.kv_options.layout());

  const size_t fixed = memory.weight_bytes + memory.activation_bytes + kReserveBytes;
  const size_t left = memory.available_bytes > fixed ? memory.available_bytes - fixed : 0;
  memory.context_tokens = options.context_tokens;
  if (options.context_tokens == 0) {
    memory.context_tokens = config.trained_context;
    const size_t limit = options.kv_budget_bytes > 0 ? std::min(options.kv_budget_bytes, left) : left;
    if (ContextBytes(memory, config.heads, memory.context_tokens) > limit) {
      memory.context_tokens = LargestContext(memory, config.heads, config.trained_context, limit);
    }
  }
  memory.kv_context_bytes = ContextBytes(memory, config.heads, memory.context_tokens);
  memory.kv_budget_bytes = options.kv_budget_bytes > 0 ? options.kv_budget_bytes : memory.kv_context_bytes;
  memory.kv_options.budget_bytes = memory.kv_budget_bytes;
  memory.kv_options.recent = std::min(memory.kv_options.recent, memory.context_tokens / 4);

  if (memory.context_tokens == 0 || fixed + memory.kv_budget_bytes > memory.available_bytes) {
    const int fits = LargestContext(memory, config.heads, config.trained_context, left);
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("{}: a context of {} tokens needs {} for weights, {} for the cache and {} for activations, but "
                    "{} is available; {}",
                    options.model, memory.context_tokens, Megabytes(memory.weight_bytes),
                    Megabytes(memory.kv_budget_bytes), Megabytes(memory.activation_bytes),
                    Megabytes(memory.available_bytes),
                    fits > 0 ? fmt::format("a context of {} tokens fits", fits) : "no context fits"));
  }
  return memory;
}

ModelInfo InfoOf(const files::GgufFile& gguf, const model::ModelConfig& config, const std::string& path) {
  return {.path = path,
          .name = config.name,
          .architecture = config.architecture,
          .layers = config.layers,
          .heads = config.heads,
          .kv_heads = config.kv_heads,
          .head_dim = config.head_dim,
          .embedding = config.embedding,
          .vocabulary = config.vocabulary,
          .trained_context = config.trained_context,
          .file_bytes = gguf.total_bytes(),
          .weight_bytes_per_token = 0};
}

}  // namespace kvasir
