// Encoders: the folder of a sentence-transformers model, computed by model/bert.cc.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/thread_pool.h"
#include "engine/embedding_backend.h"
#include "engine/sentence_recipe.h"
#include "engine/tokenizer_impl.h"
#include "files/safetensors.h"
#include "model/bert.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

// Tokens of a batch: enough for the products to run at their best, few enough that the wait for one is short.
constexpr int kBatchTokens = 512;

class EncoderBackend final : public EmbeddingBackend {
 public:
  EncoderBackend(files::SafetensorsFile file, int threads) : file_(std::move(file)), pool_(threads) {}

  Status Init(const EmbedderOptions& options, const model::BertConfig& config) {
    KV_ASSIGN(recipe_, ReadSentenceRecipe(options.model));
    KV_ASSIGN(tokenizer_, LoadSentenceTokenizer(options.model));
    if (tokenizer_->vocab_size() > config.vocabulary) {
      return Fail(ErrorCode::kCorrupt, fmt::format("{}: the tokenizer has {} tokens, but vocab_size is only {}",
                                                   options.model, tokenizer_->vocab_size(), config.vocabulary));
    }
    KV_ASSIGN(const int max_tokens, MaxTokens(options, config));
    if (options.on_progress) options.on_progress({.phase = "packing weights", .total_bytes = file_.total_bytes()});
    KV_ASSIGN(encoder_, model::BertEncoder::Load(file_, config, pool_, std::max(kBatchTokens, max_tokens)));
    if (options.on_progress) {
      options.on_progress({"packing weights", file_.total_bytes(), file_.total_bytes()});
    }
    const fs::path path(options.model);
    const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
    info_ = {.path = options.model,
             .name = name.string(),
             .architecture = "bert",
             .pooling = std::string(PoolingName(recipe_.pooling)),
             .normalised = recipe_.normalise,
             .dimensions = config.embedding,
             .max_tokens = max_tokens,
             .vocabulary = config.vocabulary,
             .file_bytes = file_.total_bytes(),
             .memory_bytes = encoder_->memory_bytes(),
             .macs_per_token = encoder_->macs_per_token()};
    return {};
  }

  [[nodiscard]] const EmbedderInfo& info() const override { return info_; }
  [[nodiscard]] Pooling pooling() const override { return recipe_.pooling; }
  [[nodiscard]] const Tokenizer& tokenizer() const override { return *tokenizer_; }
  [[nodiscard]] size_t BatchOf(std::span<const std::vector<int32_t>> texts) const override {
    return CountThatFit(texts, static_cast<size_t>(encoder_->max_rows()), 1);
  }

  Status Run(std::span<const std::vector<int32_t>> texts, const std::atomic<bool>* cancel,
             const HiddenSink& on_hidden) override {
    std::vector<int32_t> tokens;
    std::vector<int32_t> lengths;
    for (const std::vector<int32_t>& text : texts) {
      tokens.insert(tokens.end(), text.begin(), text.end());
      lengths.push_back(static_cast<int32_t>(text.size()));
    }
    KV_ASSIGN(const float* row, encoder_->Encode(tokens, lengths, cancel));
    const auto dimensions = static_cast<size_t>(info_.dimensions);
    for (size_t text = 0; text < texts.size(); ++text) {
      for (size_t i = 0; i < texts[text].size(); ++i, row += dimensions) on_hidden(text, {row, dimensions});
    }
    return {};
  }

 private:
  // The recipe's length; a longer one only as far as there are positions.
  Result<int> MaxTokens(const EmbedderOptions& options, const model::BertConfig& config) const {
    if (options.max_tokens > config.max_positions) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("texts of {} tokens were asked for, but {} was trained for {} at most",
                              options.max_tokens, options.model, config.max_positions));
    }
    if (options.max_tokens > 0) return options.max_tokens;
    return recipe_.max_tokens > 0 ? std::min(recipe_.max_tokens, config.max_positions) : config.max_positions;
  }

  files::SafetensorsFile file_;
  base::ThreadPool pool_;
  SentenceRecipe recipe_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<model::BertEncoder> encoder_;
  EmbedderInfo info_;
};

}  // namespace

Result<std::unique_ptr<EmbeddingBackend>> MakeEncoderBackend(const EmbedderOptions& options) {
  KV_ASSIGN(const std::string json, ReadModelText(options.model, "config.json"));
  const auto config = model::ReadBertConfig(json);
  if (!config) return Fail(config.error().code, fmt::format("{}: {}", options.model, config.error().message));
  KV_ASSIGN(files::SafetensorsFile file,
            files::SafetensorsFile::Open((fs::path(options.model) / "model.safetensors").string()));
  auto backend = std::make_unique<EncoderBackend>(std::move(file), options.threads);
  KV_TRY(backend->Init(options, *config));
  return backend;
}

}  // namespace kvasir
