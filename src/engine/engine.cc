#include "kvasir/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "engine/memory_plan.h"
#include "engine/peak_memory.h"
#include "kernels/kernels.h"
#include "kvasir/inspect.h"

namespace kvasir {
namespace {

Result<EngineOptions> FillOptions(const EngineOptions& given) {
  EngineOptions options = given;
  KV_ASSIGN(options.model, ResolveModel(given.model));
  if (options.threads < 0 || options.threads > 1024) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("threads is {}; allowed are 0 (one per CPU) to 1024", options.threads));
  }
  if (options.threads == 0) options.threads = base::AvailableCpus();
  if (options.context_tokens < 0) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("the context is {} tokens; it must be positive, or 0 for the model's own", options.context_tokens));
  }
  options.kv = ResolveKvSpec(options.kv, options.compute);
  return options;
}

}  // namespace

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Load(const EngineOptions& given) {
  KV_TRY(CheckIsaChoice());
  KV_ASSIGN(const EngineOptions options, FillOptions(given));
  KV_TRY(CheckIsDecoder(options.model));
  KV_ASSIGN(files::GgufFile gguf, files::GgufFile::Open(options.model));
  auto impl = std::make_unique<Impl>(std::move(gguf), options);

  KV_ASSIGN(const model::ModelConfig config, model::ReadConfig(impl->gguf, options.context_tokens));
  impl->info = InfoOf(impl->gguf, config, options.model);
  KV_ASSIGN(impl->tokenizer, TokenizerOf(impl->gguf));
  if (impl->tokenizer->vocab_size() > config.vocabulary) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{}: the tokenizer has {} tokens, but the embedding only {} rows",
                                                 options.model, impl->tokenizer->vocab_size(), config.vocabulary));
  }
  if (auto chat_template = ChatTemplateOf(impl->gguf, *impl->tokenizer)) {
    impl->chat_template = std::move(*chat_template);
  } else {
    impl->no_chat_template = chat_template.error();
  }

  // Memory is planned before any of it is taken.
  KV_ASSIGN(const EngineMemory memory, PlanMemory(impl->gguf, config, options));
  impl->options.context_tokens = memory.context_tokens;
  impl->options.kv = memory.kv;
  impl->options.kv_budget_bytes = memory.kv_budget_bytes;
  impl->kv_shape = memory.kv_shape;
  impl->kv_options = memory.kv_options;
  impl->attention = AttentionTraitsOf(config);
  KV_ASSIGN(impl->pages, kvcache::PagePool::Create(memory.kv_budget_bytes));

  KV_ASSIGN(impl->model,
            model::LoadModel(impl->gguf, {.compute = options.compute,
                                          .pool = &impl->pool,
                                          .max_rows = kMaxBatchRows,
                                          .packed_cache = options.packed_cache ? PackedCachePath(options.model) : "",
                                          .context_tokens = options.context_tokens,
                                          .on_progress = options.on_progress}));
  impl->activation_bytes = impl->model->activation_bytes();
  impl->info.weight_bytes_per_token = impl->model->weight_bytes_per_token();
  return std::make_unique<Engine>(std::move(impl));
}

const ModelInfo& Engine::info() const {
  return impl_->info;
}
const EngineOptions& Engine::options() const {
  return impl_->options;
}
const Tokenizer& Engine::tokenizer() const {
  return *impl_->tokenizer;
}
std::string_view Engine::isa() const {
  return kernels::IsaName(kernels::ChosenIsa());
}

Result<const ChatTemplate*> Engine::chat_template() const {
  if (impl_->chat_template) return &*impl_->chat_template;
  return std::unexpected(impl_->no_chat_template);
}

MemoryReport Engine::memory() const {
  const kvcache::PoolStats pages = impl_->pages->stats();
  return {.weight_bytes = impl_->model->weight_bytes(),
          .mapped_bytes = impl_->info.file_bytes,
          .kv_bytes = pages.live_bytes,
          .kv_budget_bytes = pages.budget_bytes,
          .activation_bytes = impl_->activation_bytes,
          .peak_resident_bytes = ProcessPeakMemory().Read()};
}

}  // namespace kvasir
