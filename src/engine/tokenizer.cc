#include "kvasir/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/memory_plan.h"
#include "engine/sentence_recipe.h"
#include "engine/tokenizer_impl.h"
#include "kvasir/embedding.h"
#include "kvasir/options.h"

namespace kvasir {
namespace {

// Reads an optional token id. Files in the wild carry ids beyond the vocabulary for tokens they do not have (-1 as an
// unsigned number); the tokenizer checks the rest.
Status ReadId(const files::GgufMetadata& metadata, const char* name, int32_t* id) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
  if (!metadata.Has(key)) return {};
  KV_ASSIGN(const int64_t value, metadata.GetI64(key));
  if (value == -1 || value == 0xffffffff) return {};
  if (value < 0 || value > INT32_MAX) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{} is {}, which is no token id", key, value));
  }
  *id = static_cast<int32_t>(value);
  return {};
}

Status ReadFlag(const files::GgufMetadata& metadata, const char* key, std::optional<bool>* flag) {
  if (!metadata.Has(key)) return {};
  KV_ASSIGN(*flag, metadata.GetBool(key));
  return {};
}

Status ReadTables(const files::GgufMetadata& metadata, text::Vocabulary& vocabulary) {
  KV_ASSIGN(const std::vector<std::string_view> tokens, metadata.GetStrings("tokenizer.ggml.tokens"));
  vocabulary.tokens.assign(tokens.begin(), tokens.end());
  if (metadata.Has("tokenizer.ggml.scores")) {
    KV_ASSIGN(vocabulary.scores, metadata.GetFloats("tokenizer.ggml.scores"));
  }
  if (metadata.Has("tokenizer.ggml.token_type")) {
    KV_ASSIGN(const std::vector<int64_t> types, metadata.GetIntegers("tokenizer.ggml.token_type"));
    for (const int64_t type : types) {
      // Unknown kinds behave like normal tokens.
      vocabulary.types.push_back(type >= 1 && type <= 6 ? static_cast<text::TokenType>(type)
                                                        : text::TokenType::kNormal);
    }
  }
  if (metadata.Has("tokenizer.ggml.merges")) {
    KV_ASSIGN(const std::vector<std::string_view> merges, metadata.GetStrings("tokenizer.ggml.merges"));
    vocabulary.merges.assign(merges.begin(), merges.end());
  }
  if (metadata.Has("tokenizer.ggml.precompiled_charsmap")) {
    KV_ASSIGN(const std::vector<int64_t> bytes, metadata.GetIntegers("tokenizer.ggml.precompiled_charsmap"));
    for (const int64_t byte : bytes) vocabulary.precompiled_charsmap.push_back(static_cast<std::byte>(byte));
  }
  return {};
}

// Phi 3's special tokens swallow the white space behind them; its files do not say so.
void StripAfterSpecialTokens(text::Vocabulary& vocabulary) {
  for (size_t id = 0; id < std::min(vocabulary.tokens.size(), vocabulary.types.size()); ++id) {
    const std::string& text = vocabulary.tokens[id];
    if (text == "<unk>" || text == "<s>" || text == "<|endoftext|>") continue;
    const text::TokenType type = vocabulary.types[id];
    const bool special = type == text::TokenType::kControl || type == text::TokenType::kUserDefined || text == "</s>";
    if (special) vocabulary.strip_right.push_back(static_cast<int32_t>(id));
  }
}

}  // namespace

Result<text::Vocabulary> VocabularyOf(const files::GgufFile& gguf) {
  const files::GgufMetadata& metadata = gguf.metadata();
  text::Vocabulary vocabulary;
  KV_ASSIGN(vocabulary.model, metadata.GetString("tokenizer.ggml.model"));
  KV_ASSIGN(vocabulary.pre, metadata.GetString("tokenizer.ggml.pre", ""));
  KV_TRY(ReadTables(metadata, vocabulary));
  const std::pair<const char*, int32_t*> ids[] = {
      {"bos", &vocabulary.bos},       {"eos", &vocabulary.eos},     {"unknown", &vocabulary.unk},
      {"seperator", &vocabulary.sep}, {"padding", &vocabulary.pad}, {"cls", &vocabulary.cls},
      {"mask", &vocabulary.mask},     {"eot", &vocabulary.eot},     {"eom", &vocabulary.eom}};
  for (const auto& [name, id] : ids) KV_TRY(ReadId(metadata, name, id));
  KV_TRY(ReadFlag(metadata, "tokenizer.ggml.add_bos_token", &vocabulary.add_bos));
  KV_TRY(ReadFlag(metadata, "tokenizer.ggml.add_eos_token", &vocabulary.add_eos));
  KV_TRY(ReadFlag(metadata, "tokenizer.ggml.add_sep_token", &vocabulary.add_sep));
  KV_TRY(ReadFlag(metadata, "tokenizer.ggml.add_space_prefix", &vocabulary.add_space_prefix));
  KV_TRY(ReadFlag(metadata, "tokenizer.ggml.remove_extra_whitespaces", &vocabulary.remove_extra_whitespaces));
  if (metadata.GetString("general.architecture", "").value_or("") == "phi3") StripAfterSpecialTokens(vocabulary);
  return vocabulary;
}

Result<std::unique_ptr<Tokenizer>> TokenizerOf(const files::GgufFile& gguf) {
  KV_ASSIGN(text::Vocabulary vocabulary, VocabularyOf(gguf));
  KV_ASSIGN(std::unique_ptr<text::Tokenizer> inner, text::Tokenizer::Create(std::move(vocabulary)));
  return std::make_unique<Tokenizer>(std::make_unique<Tokenizer::Impl>(std::move(inner)));
}

Result<std::unique_ptr<Tokenizer>> LoadSentenceTokenizer(const std::string& folder) {
  KV_ASSIGN(text::Vocabulary vocabulary, ReadSentenceVocabulary(folder));
  KV_ASSIGN(std::unique_ptr<text::Tokenizer> inner, text::Tokenizer::Create(std::move(vocabulary)));
  return std::make_unique<Tokenizer>(std::make_unique<Tokenizer::Impl>(std::move(inner)));
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& model) {
  KV_ASSIGN(const std::string path, ResolveModel(model));
  if (IsEncoder(path)) return LoadSentenceTokenizer(path);
  KV_ASSIGN(const files::GgufFile gguf, files::GgufFile::Open(path));
  return TokenizerOf(gguf);
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  return impl_->tokenizer().Encode(text, {.add_special = options.add_special, .parse_special = options.parse_special});
}

Result<std::string> Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("id {} (number {}) is not in the vocabulary of {} tokens", ids[i], i, vocab_size()));
    }
  }
  return impl_->tokenizer().Decode(ids, {.skip_special = skip_special});
}

std::string Tokenizer::Piece(int32_t id) const {
  return impl_->tokenizer().Piece(id, true);
}
bool Tokenizer::IsEndOfGeneration(int32_t id) const {
  return impl_->tokenizer().IsEndOfGeneration(id);
}
int32_t Tokenizer::vocab_size() const {
  return impl_->tokenizer().vocab_size();
}
int32_t Tokenizer::bos() const {
  return impl_->tokenizer().bos();
}
int32_t Tokenizer::eos() const {
  return impl_->tokenizer().eos();
}
bool Tokenizer::adds_bos() const {
  return impl_->tokenizer().add_bos() && bos() >= 0;
}

}  // namespace kvasir
