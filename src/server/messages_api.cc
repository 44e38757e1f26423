// POST /v1/messages and /v1/messages/count_tokens: a chat in Anthropic's words. Reading the request.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "server/chat_prompt.h"
#include "server/fields.h"
#include "server/messages_format.h"
#include "server/messages_input.h"
#include "server/routes.h"
#include "server/tools/tool_fields.h"
#include "server/work.h"

namespace kvasir::server {
namespace {

// "2023-06-01": the form of the API that the client expects. There has been one.
ApiStatus CheckVersion(const Call& call) {
  const std::string_view version = call.http.Header("anthropic-version");
  constexpr std::string_view kPattern = "dddd-dd-dd";
  const bool is_date = std::equal(version.begin(), version.end(), kPattern.begin(), kPattern.end(),
                                  [](char c, char p) { return p == 'd' ? c >= '0' && c <= '9' : c == p; });
  if (version.empty() || is_date) return {};
  return Refuse(400, "the header anthropic-version must be a date such as 2023-06-01");
}

void ReadMessageOptions(Fields& fields, GenerationOptions& options) {
  if (options.choices != 1) fields.Problem("n", "must be 1");
  if (const auto tokens = fields.Integer("max_tokens", 1, INT32_MAX)) {
    options.max_tokens = static_cast<int>(*tokens);
  } else {
    fields.Problem("max_tokens", "is missing");
  }
  for (std::string& stop : fields.Texts("stop_sequences", kMostStops)) options.stop.push_back(std::move(stop));
  if (const Json* metadata = fields.Object("metadata")) {
    Fields inner(*metadata, "metadata");
    (void)inner.Text("user_id");  // who asks: no influence on the answer by definition
    inner.FinishInto(fields);
  }
}

// Of both routes: what makes the prompt.
Json ReadPromptOf(Fields& fields, ToolOptions& tools) {
  tools = ReadMessageTools(fields);
  (void)fields.Object("cache_control");  // what was computed is kept by itself
  if (const Json* thinking = fields.Object("thinking");
      thinking != nullptr && *thinking != Json({{"type", "disabled"}})) {
    fields.Problem("thinking", "must be {\"type\": \"disabled\"}: how much a model thinks cannot be chosen");
  }
  return ReadMessagesInput(fields);
}

}  // namespace

Handled HandleMessages(const Call& call) {
  KV_TRY(CheckVersion(call));
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  GenerationOptions options = ReadGeneration(fields, call);
  ReadMessageOptions(fields, options);
  Json conversation = ReadPromptOf(fields, options.tools);
  KV_TRY(fields.Finish());
  KV_ASSIGN(auto work, SubmitConversation(call, options, std::move(conversation)));
  const bool stream = options.stream;
  return MakeAnswer(std::move(work), MakeMessagesFormat(*call.model, std::move(options)), stream);
}

Handled HandleCountTokens(const Call& call) {
  KV_TRY(CheckVersion(call));
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  ToolOptions tools;
  Json conversation = ReadPromptOf(fields, tools);
  KV_TRY(fields.Finish());
  KV_ASSIGN(const std::string text, RenderConversation(*call.model, std::move(conversation), tools));
  return Fixed(JsonResponse({{"input_tokens", EncodeRendered(call.model->engine->tokenizer(), text).size()}}));
}

}  // namespace kvasir::server
