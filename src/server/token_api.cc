// /tokenize, /detokenize, /apply-template, /tokenizer_info. Names of members are those of vLLM and of llama.cpp, where
// they differ both are taken (serving.md D5: evaluation harnesses probe for the former).
#include <fmt/format.h>

#include "base/check.h"
#include "server/chat_prompt.h"
#include "server/fields.h"
#include "server/generation.h"
#include "server/routes.h"
#include "server/tools/tool_fields.h"

namespace kvasir::server {
namespace {

// Bytes as a text where they are one, else as a list of numbers.
Json PieceJson(const std::string& bytes) {
  Json text = bytes;
  try {
    (void)text.dump();
    return text;
  } catch (const Json::exception&) {
    Json numbers = Json::array();
    for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
    return numbers;
  }
}

// The prompt that a conversation would be answered to, of a request in which nothing else remains to be read.
ApiResult<std::string> ReadRendered(Fields& fields, const Model& model) {
  Json conversation = ReadConversation(fields);
  ReadReasoningEffort(fields, "reasoning_effort", model, conversation);
  const ToolOptions tools = ReadChatTools(fields);
  KV_TRY(fields.Finish());
  return RenderConversation(model, std::move(conversation), tools);
}

}  // namespace

Handled HandleTokenize(const Call& call) {
  const Tokenizer& tokenizer = call.model->engine->tokenizer();
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  const bool with_pieces = fields.Bool("with_pieces").value_or(false);
  const bool parse_special = fields.Bool("parse_special").value_or(true);
  std::vector<int32_t> tokens;
  if (fields.Has("messages")) {
    KV_ASSIGN(const std::string rendered, ReadRendered(fields, *call.model));
    tokens = EncodeRendered(tokenizer, rendered);
  } else {
    auto text = fields.Text("prompt");
    const auto content = fields.Text("content");
    // llama.cpp adds no special tokens unless asked, vLLM does unless told not to; each under its own names.
    const bool add_special =
        fields.Bool("add_special_tokens").value_or(fields.Bool("add_special").value_or(text.has_value()));
    if (text && content) fields.Problem("content", "says the same as prompt; give one of them");
    if (!text) text = content;
    if (!text) fields.Problem("prompt", "is missing");
    KV_TRY(fields.Finish());
    tokens = tokenizer.Encode(*text, {.add_special = add_special, .parse_special = parse_special});
  }
  Json list = Json::array();
  for (const int32_t token : tokens) {
    if (with_pieces) {
      list.push_back({{"id", token}, {"piece", PieceJson(tokenizer.Piece(token))}});
    } else {
      list.push_back(token);
    }
  }
  return Fixed(JsonResponse({{"tokens", std::move(list)},
                             {"count", tokens.size()},
                             {"max_model_len", call.model->engine->options().context_tokens}}));
}

Handled HandleDetokenize(const Call& call) {
  const Tokenizer& tokenizer = call.model->engine->tokenizer();
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  if (!fields.Has("tokens")) fields.Problem("tokens", "is missing");
  const bool skip_special = fields.Bool("skip_special_tokens").value_or(false);
  const std::vector<int32_t> tokens =
      fields.Integers("tokens", 0, tokenizer.vocab_size() - 1, call.app.json_limits.max_values);
  KV_TRY(fields.Finish());
  const Result<std::string> text = tokenizer.Decode(tokens, skip_special);
  if (!text) return std::unexpected(FromEngine(text.error()));
  return Fixed(JsonResponse({{"prompt", *text}, {"content", *text}}));
}

Handled HandleApplyTemplate(const Call& call) {
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  KV_ASSIGN(const std::string text, ReadRendered(fields, *call.model));
  return Fixed(JsonResponse({{"prompt", text}}));
}

Handled HandleTokenizerInfo(const Call& call) {
  const Tokenizer& tokenizer = call.model->engine->tokenizer();
  const auto piece = [&](int32_t id) { return id < 0 ? Json(nullptr) : PieceJson(tokenizer.Piece(id)); };
  return Fixed(JsonResponse({{"vocab_size", tokenizer.vocab_size()},
                             {"bos_token", piece(tokenizer.bos())},
                             {"bos_token_id", tokenizer.bos() < 0 ? Json(nullptr) : Json(tokenizer.bos())},
                             {"eos_token", piece(tokenizer.eos())},
                             {"eos_token_id", tokenizer.eos() < 0 ? Json(nullptr) : Json(tokenizer.eos())},
                             {"add_bos_token", tokenizer.adds_bos()},
                             {"model_max_length", call.model->engine->options().context_tokens},
                             {"has_chat_template", call.model->chat_template != nullptr}}));
}

}  // namespace kvasir::server
