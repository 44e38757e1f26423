// Decoders: the vectors that the head would turn into logits, by the steps that generation uses too.
//
// The embedder shares the engine with a scheduler, so it must not take its memory (the pages of admitted requests were
// counted) nor hold it up: it has a small pool of pages of its own, and a batch is few enough tokens that a stream
// waits for one of them about as long as for a piece of another's prompt.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/embedding_backend.h"
#include "engine/engine_impl.h"
#include "engine/step.h"
#include "kvcache/kv_sequence.h"

namespace kvasir {
namespace {

constexpr int kLongestText = 1024;     // tokens, unless the user asks for another length
constexpr int kSharedStepTokens = 64;  // of a step beside other users of the engine
constexpr int kMinPoolTokens = 1024;   // tokens that the pages of a batch hold, at least

// Tokens that the pages of a batch hold, where one text has `max_tokens` at most.
int64_t PoolTokens(int max_tokens) {
  return static_cast<int64_t>(kvcache::BlocksFor(std::max(max_tokens, kMinPoolTokens))) * kernels::kPageTokens;
}

class DecoderBackend final : public EmbeddingBackend {
 public:
  DecoderBackend(Engine& engine, std::unique_ptr<Engine> owned)
      : engine_(engine.impl()), owned_(std::move(owned)), step_tokens_(owned_ ? kMaxBatchRows : kSharedStepTokens) {}

  Status Init(int wanted) {
    const int context = engine_.options.context_tokens;
    if (wanted > context) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("texts of {} tokens were asked for, but the context of {} "
                                                           "holds {}",
                                                           wanted, engine_.options.model, context));
    }
    const int max_tokens = wanted > 0 ? wanted : std::min(context, kLongestText);
    pool_tokens_ = PoolTokens(max_tokens);
    // Many short texts keep what one long text would have let slide out of its windows.
    const size_t budget =
        kvcache::BytesPerToken(engine_.kv_shape, engine_.kv_options.layout()) * static_cast<size_t>(pool_tokens_);
    KV_ASSIGN(pages_, kvcache::PagePool::Create(budget));
    const ModelInfo& model = engine_.info;
    info_ = {.path = model.path,
             .name = model.name,
             .architecture = model.architecture,
             .pooling = std::string(PoolingName(pooling())),
             .normalised = true,
             .dimensions = model.embedding,
             .max_tokens = max_tokens,
             .vocabulary = model.vocabulary,
             .file_bytes = model.file_bytes,
             .memory_bytes = budget + (owned_ ? engine_.model->weight_bytes() + engine_.activation_bytes : 0),
             .macs_per_token = engine_.model->body_macs()};
    return {};
  }

  [[nodiscard]] const EmbedderInfo& info() const override { return info_; }
  [[nodiscard]] Pooling pooling() const override { return Pooling::kMean; }
  [[nodiscard]] const Tokenizer& tokenizer() const override { return *engine_.tokenizer; }
  [[nodiscard]] size_t BatchOf(std::span<const std::vector<int32_t>> texts) const override {
    const size_t by_pages = CountThatFit(texts, static_cast<size_t>(pool_tokens_), kernels::kPageTokens);
    return std::min(by_pages, CountThatFit(texts, static_cast<size_t>(step_tokens_), 1));
  }

  // A batch is either texts that fit one step together, or one that takes several.
  Status Run(std::span<const std::vector<int32_t>> texts, const std::atomic<bool>* cancel,
             const HiddenSink& on_hidden) override {
    std::vector<kvcache::KvSequence> sequences;
    for (size_t i = 0; i < texts.size(); ++i) {
      KV_ASSIGN(kvcache::KvSequence sequence,
                kvcache::KvSequence::Create(*pages_, engine_.kv_shape, engine_.kv_options));
      sequences.push_back(std::move(sequence));
    }
    const auto most = static_cast<size_t>(step_tokens_);
    const size_t steps = texts.size() > 1 ? 1 : (texts.front().size() + most - 1) / most;
    for (size_t step = 0; step < steps; ++step) {
      std::vector<StepRows> rows;
      for (size_t i = 0; i < texts.size(); ++i) {
        const auto rest = std::span(texts[i]).subspan(step * most);
        KV_TRY(sequences[i].Extend(rest.first(std::min(most, rest.size()))));
        rows.push_back({.sequence = &sequences[i],
                        .first_logits = 0,
                        .on_logits = [&on_hidden, i](int, std::span<const float> row) { on_hidden(i, row); }});
      }
      KV_TRY(RunStep(engine_, rows, cancel, StepOutput::kHidden));
    }
    return {};
  }

 private:
  Engine::Impl& engine_;
  std::unique_ptr<Engine> owned_;
  int step_tokens_;
  int64_t pool_tokens_ = 0;
  std::unique_ptr<kvcache::PagePool> pages_;
  EmbedderInfo info_;
};

Result<std::unique_ptr<EmbeddingBackend>> Make(Engine& engine, std::unique_ptr<Engine> owned, int max_tokens) {
  auto backend = std::make_unique<DecoderBackend>(engine, std::move(owned));
  KV_TRY(backend->Init(max_tokens));
  return backend;
}

}  // namespace

size_t EmbeddingPageBytes(const MemoryPlan& plan) {
  return plan.kv_bytes_per_token * static_cast<size_t>(PoolTokens(std::min(plan.context_tokens, kLongestText)));
}

Result<std::unique_ptr<EmbeddingBackend>> MakeDecoderBackend(Engine& engine, int max_tokens) {
  return Make(engine, nullptr, max_tokens);
}

Result<std::unique_ptr<EmbeddingBackend>> MakeDecoderBackend(std::unique_ptr<Engine> engine, int max_tokens) {
  Engine& used = *engine;
  return Make(used, std::move(engine), max_tokens);
}

}  // namespace kvasir
