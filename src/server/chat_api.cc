// POST /v1/chat/completions, in OpenAI's words: reading the request.
#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "server/chat_format.h"
#include "server/chat_prompt.h"
#include "server/fields.h"
#include "server/routes.h"
#include "server/tools/tool_fields.h"
#include "server/work.h"

namespace kvasir::server {
namespace {

constexpr int kMostTopLogprobs = 20;

void ReadChatLimits(Fields& fields, GenerationOptions& options) {
  const auto tokens = fields.Integer("max_completion_tokens", 1, INT32_MAX);
  const auto old_tokens = fields.Integer("max_tokens", 1, INT32_MAX);
  if (tokens && old_tokens && *tokens != *old_tokens) {
    fields.Problem("max_tokens", "differs from max_completion_tokens, which is its new name; give one of them");
  }
  if (tokens || old_tokens) options.max_tokens = static_cast<int>(tokens ? *tokens : *old_tokens);
  options.logprobs = fields.Bool("logprobs").value_or(false);
  const auto top = fields.Integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && !options.logprobs) fields.Problem("top_logprobs", "needs logprobs to be true");
  options.sampling.n_probs = static_cast<int32_t>(top.value_or(0));
}

// Members whose other values this server cannot honour; it says so instead of ignoring them.
void ReadUnsupported(Fields& fields) {
  if (const Json* modalities = fields.Array("modalities");
      modalities != nullptr && *modalities != Json::array({"text"})) {
    fields.Problem("modalities", "must be [\"text\"]");
  }
}

}  // namespace

Handled HandleChat(const Call& call) {
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  GenerationOptions options = ReadGeneration(fields, call);
  ReadChatLimits(fields, options);
  ReadUnsupported(fields);
  options.tools = ReadChatTools(fields);
  ReadHints(fields, options);
  Json conversation = ReadConversation(fields);
  ReadReasoningEffort(fields, "reasoning_effort", *call.model, conversation);
  KV_TRY(fields.Finish());
  KV_ASSIGN(auto work, SubmitConversation(call, options, std::move(conversation)));
  const bool stream = options.stream;
  return MakeAnswer(std::move(work), MakeChatFormat(*call.model, std::move(options)), stream);
}

}  // namespace kvasir::server
