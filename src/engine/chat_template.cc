#include "kvasir/chat_template.h"

#include <fmt/format.h>

#include "base/check.h"
#include "engine/memory_plan.h"
#include "engine/tokenizer_impl.h"
#include "jinja/chat.h"
#include "jinja/request_text.h"
#include "jinja/template.h"
#include "kvasir/options.h"

namespace kvasir {

struct ChatTemplate::Impl {
  jinja::Template parsed;
  std::string bos_token;
  std::string eos_token;
  std::string source;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source, std::string bos_token, std::string eos_token) {
  KV_ASSIGN(jinja::Template parsed, jinja::Template::Parse(source));
  return ChatTemplate(
      std::make_unique<Impl>(Impl{std::move(parsed), std::move(bos_token), std::move(eos_token), std::string(source)}));
}

Result<ChatTemplate> ChatTemplateOf(const files::GgufFile& gguf, const Tokenizer& tokenizer) {
  constexpr const char* kKey = "tokenizer.chat_template";
  if (!gguf.metadata().Has(kKey)) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("{} has no chat template; it is a base model: give it text to continue instead", gguf.path()));
  }
  KV_ASSIGN(const std::string_view source, gguf.metadata().GetString(kKey));
  const text::Tokenizer& inner = tokenizer.impl().tokenizer();
  return ChatTemplate::Parse(source, inner.TokenText(inner.bos()), inner.TokenText(inner.eos()));
}

Result<ChatTemplate> ChatTemplate::Load(const std::string& model) {
  KV_ASSIGN(const std::string path, ResolveModel(model));
  KV_ASSIGN(const files::GgufFile gguf, files::GgufFile::Open(path));
  KV_ASSIGN(const std::unique_ptr<Tokenizer> tokenizer, TokenizerOf(gguf));
  return ChatTemplateOf(gguf, *tokenizer);
}

std::string_view ChatTemplate::source() const {
  return impl_->source;
}

Result<std::string> ChatTemplate::Apply(std::string_view request_json) const {
  const auto request = jinja::ParseRequestText(request_json);
  if (!request) return Fail(request.error().code, "the chat request is not valid JSON: " + request.error().message);
  KV_ASSIGN(const jinja::ChatRequest chat, jinja::ParseChatRequest(*request));
  return jinja::ApplyChatTemplate(impl_->parsed, chat, impl_->bos_token, impl_->eos_token);
}

}  // namespace kvasir
