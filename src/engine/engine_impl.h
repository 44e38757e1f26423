// What an Engine holds, shared by the files of this room.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/fair_mutex.h"
#include "base/thread_pool.h"
#include "files/gguf_reader.h"
#include "kvasir/engine.h"
#include "kvcache/eviction_driver.h"
#include "kvcache/kv_options.h"
#include "kvcache/page_pool.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace kvasir {

struct Engine::Impl {
  Impl(files::GgufFile file, const EngineOptions& filled)
      : options(filled), gguf(std::move(file)), pool(filled.threads) {}

  EngineOptions options;  // with defaults filled in
  files::GgufFile gguf;
  base::ThreadPool pool;
  ModelInfo info;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  Error no_chat_template;  // why chat_template is empty
  std::unique_ptr<model::Model> model;
  kvcache::KvShape kv_shape;
  kvcache::KvOptions kv_options;
  kvcache::AttentionTraits attention;
  std::unique_ptr<kvcache::PagePool> pages;
  base::FairMutex step;  // one forward pass at a time
  std::atomic<size_t> activation_bytes =
      0;  // of the model; passes make its buffers larger, and it may be asked meanwhile
};

/// The file that EngineOptions::packed_cache means for the model file `model`.
[[nodiscard]] std::string PackedCachePath(const std::string& model);

/// Where the receipt of the model file `model` is kept when the model's folder cannot be written to.
[[nodiscard]] std::string ReceiptCachePath(const std::string& model);

/// kUnsupported, with the way out, where the path `model` is an encoder's folder and no decoder.
[[nodiscard]] Status CheckIsDecoder(const std::string& model);

/// kInvalidArgument, naming the first of `tokens` that is not in the vocabulary.
[[nodiscard]] Status CheckTokens(const Engine::Impl& engine, std::span<const int32_t> tokens);

/// Rows of the largest batch: a prompt is computed in pieces of this many tokens.
inline constexpr int kMaxBatchRows = 512;

}  // namespace kvasir
