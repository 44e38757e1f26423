// POST /v1/responses, OpenAI's newer words for a chat: the stateless part. Reading the request.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "server/chat_prompt.h"
#include "server/fields.h"
#include "server/responses_format.h"
#include "server/responses_input.h"
#include "server/routes.h"
#include "server/tools/tool_fields.h"
#include "server/work.h"

namespace kvasir::server {
namespace {

void ReadUnsupported(Fields& fields, const GenerationOptions& options) {
  if (options.choices != 1) fields.Problem("n", "must be 1");
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.Has(name)) fields.Problem(name, "is not supported: give the whole conversation as input");
  }
  // Thoughts are never encrypted here, so that asking for those that are changes nothing.
  const Json* include = fields.Array("include");
  const auto harmless = [](const Json& item) { return item == "reasoning.encrypted_content"; };
  if (include != nullptr && !std::all_of(include->begin(), include->end(), harmless)) {
    fields.Problem("include", "may hold \"reasoning.encrypted_content\" only: there is nothing more to include");
  }
  if (fields.Bool("background").value_or(false)) fields.Problem("background", "must be false");
  if (const auto truncation = fields.Text("truncation"); truncation && *truncation != "disabled") {
    fields.Problem("truncation", "must be \"disabled\": nothing is cut off");
  }
}

void ReadReasoning(Fields& fields, const Model& model, Json& conversation) {
  const Json* reasoning = fields.Object("reasoning");
  if (reasoning == nullptr) return;
  Fields inner(*reasoning, "reasoning");
  ReadReasoningEffort(inner, "effort", model, conversation);
  // "auto" is whatever there is, which is none.
  if (const auto summary = inner.Text("summary"); summary && *summary != "auto") {
    inner.Problem("summary", "must be \"auto\": thoughts are not summarised");
  }
  inner.FinishInto(fields);
}

}  // namespace

Handled HandleResponses(const Call& call) {
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  GenerationOptions options = ReadGeneration(fields, call);
  if (const auto tokens = fields.Integer("max_output_tokens", 1, INT32_MAX))
    options.max_tokens = static_cast<int>(*tokens);
  ReadTextFormat(fields, call, options);
  ReadHints(fields, options);
  ReadUnsupported(fields, options);
  options.tools = ReadResponseTools(fields);
  Json instructions;
  Json conversation = ReadResponseInput(fields, instructions);
  ReadReasoning(fields, *call.model, conversation);
  KV_TRY(fields.Finish());
  KV_ASSIGN(auto work, SubmitConversation(call, options, std::move(conversation)));
  const bool stream = options.stream;
  auto format = MakeResponseFormat(*call.model, std::move(options), std::move(instructions));
  return MakeAnswer(std::move(work), std::move(format), stream);
}

}  // namespace kvasir::server
