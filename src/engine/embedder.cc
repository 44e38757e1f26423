#include <fmt/format.h>

#include <filesystem>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/fair_mutex.h"
#include "base/thread_pool.h"
#include "engine/embedding_backend.h"
#include "engine/engine_impl.h"
#include "kvasir/embedding.h"
#include "kvasir/inspect.h"

namespace kvasir {

struct Embedder::Impl {
  explicit Impl(std::unique_ptr<EmbeddingBackend> made) : backend(std::move(made)) {}

  std::unique_ptr<EmbeddingBackend> backend;
  base::FairMutex batch;  // one at a time
};

Embedder::Embedder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Embedder::~Embedder() = default;

namespace {

// Of a decoder's own engine: the context must hold the longest text, and nothing beyond that is needed.
Result<std::unique_ptr<EmbeddingBackend>> LoadDecoder(const EmbedderOptions& options) {
  constexpr int kUsualContext = 2048;
  EngineOptions engine_options{.model = options.model,
                               .compute = options.compute,
                               .threads = options.threads,
                               .context_tokens = options.max_tokens,
                               .on_progress = options.on_progress};
  if (options.max_tokens == 0) engine_options.context_tokens = kUsualContext;
  KV_ASSIGN(std::unique_ptr<Engine> engine, Engine::Load(engine_options));
  const int trained = engine->info().trained_context;
  return MakeDecoderBackend(std::move(engine),
                            options.max_tokens > 0 ? options.max_tokens : std::min(kUsualContext, trained));
}

}  // namespace

Result<std::unique_ptr<Embedder>> Embedder::Load(const EmbedderOptions& given) {
  KV_TRY(CheckIsaChoice());
  EmbedderOptions options = given;
  KV_ASSIGN(options.model, ResolveModel(given.model));
  if (options.threads < 0 || options.threads > 1024) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("threads is {}; allowed are 0 (one per CPU) to 1024", options.threads));
  }
  if (options.max_tokens < 0) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the longest text is {} tokens; it must be positive, or 0 for "
                                                         "the model's own",
                                                         options.max_tokens));
  }
  if (options.threads == 0) options.threads = base::AvailableCpus();
  KV_ASSIGN(auto backend, IsEncoder(options.model) ? MakeEncoderBackend(options) : LoadDecoder(options));
  return std::make_unique<Embedder>(std::make_unique<Impl>(std::move(backend)));
}

Result<std::unique_ptr<Embedder>> Embedder::Of(Engine& engine, int max_tokens) {
  KV_ASSIGN(auto backend, MakeDecoderBackend(engine, max_tokens));
  return std::make_unique<Embedder>(std::make_unique<Impl>(std::move(backend)));
}

const EmbedderInfo& Embedder::info() const {
  return impl_->backend->info();
}
const Tokenizer& Embedder::tokenizer() const {
  return impl_->backend->tokenizer();
}

std::vector<int32_t> Embedder::Encode(std::string_view text) const {
  return tokenizer().Encode(text, {.add_special = true, .parse_special = false});
}

Status Embedder::Check(std::span<const int32_t> tokens) const {
  if (tokens.empty()) return Fail(ErrorCode::kInvalidArgument, "the text has no token, but must have at least one");
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < info().vocabulary) continue;
    return Fail(ErrorCode::kInvalidArgument, fmt::format("id {} (number {}) is not in the vocabulary of {} tokens",
                                                         tokens[i], i, info().vocabulary));
  }
  if (tokens.size() <= static_cast<size_t>(info().max_tokens)) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the text has {} tokens, but the model reads {} at most; nothing is cut off silently, so "
                          "shorten or split it",
                          tokens.size(), info().max_tokens));
}

Result<std::vector<std::vector<float>>> Embedder::Embed(std::span<const std::vector<int32_t>> texts,
                                                        const std::atomic<bool>* cancel) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (const Status status = Check(texts[i]); !status) {
      return Fail(status.error().code,
                  texts.size() == 1 ? status.error().message : fmt::format("text {}: {}", i, status.error().message));
    }
  }
  EmbeddingBackend& backend = *impl_->backend;
  std::vector<std::vector<float>> vectors;
  vectors.reserve(texts.size());
  while (vectors.size() < texts.size()) {
    const auto rest = texts.subspan(vectors.size());
    const auto batch = rest.first(backend.BatchOf(rest));
    std::vector<Pool> pools(batch.size(), Pool(backend.pooling(), static_cast<size_t>(info().dimensions)));
    {
      const std::lock_guard lock(impl_->batch);
      KV_TRY(backend.Run(batch, cancel, [&](size_t text, std::span<const float> row) { pools[text].Add(row); }));
    }
    for (const Pool& pool : pools) vectors.push_back(pool.Take(info().normalised));
  }
  return vectors;
}

Result<std::vector<std::vector<float>>> Embedder::EmbedTexts(std::span<const std::string> texts) {
  std::vector<std::vector<int32_t>> tokens;
  tokens.reserve(texts.size());
  for (const std::string& text : texts) tokens.push_back(Encode(text));
  return Embed(tokens);
}

size_t CountThatFit(std::span<const std::vector<int32_t>> texts, size_t most, size_t unit) {
  size_t count = 0;
  size_t used = 0;
  for (const std::vector<int32_t>& text : texts) {
    used += (text.size() + unit - 1) / unit * unit;
    if (used > most && count > 0) break;
    ++count;
  }
  return count;
}

Status CheckIsDecoder(const std::string& model) {
  if (!IsEncoder(model)) return {};
  return Fail(
      ErrorCode::kUnsupported,
      fmt::format("{} is an encoder: it makes vectors of texts (kvasir embed, kvasir serve) and cannot write any",
                  model));
}

bool IsEncoder(std::string_view model) {
  const auto path = ResolveModel(model);
  std::error_code error;
  return path && std::filesystem::is_regular_file(std::filesystem::path(*path) / "config.json", error);
}

}  // namespace kvasir
