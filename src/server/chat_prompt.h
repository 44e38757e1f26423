// From the messages of a request to the tokens of a prompt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"
#include "server/app.h"
#include "server/fields.h"
#include "server/json.h"

namespace kvasir::server {

/// Reads the members messages, tools, add_generation_prompt and chat_template_kwargs of a request and gives what
/// ChatTemplate::Apply takes. Contents given as parts are joined, "developer" is "system" to templates, and the
/// arguments of earlier tool calls become objects, which is what templates expect. Problems are noted in `fields`.
[[nodiscard]] Json ReadConversation(Fields& fields);

/// Reads from `member` how much the model is to think and gives it to the template as its variable reasoning_effort.
/// A problem where the template does not read that: it would be ignored.
void ReadReasoningEffort(Fields& fields, const char* member, const Model& model, Json& conversation);

/// One message, as templates take it; `path` is its place in the request. Where it is an item of a response's input, it
/// may have what such items have besides.
[[nodiscard]] Json ReadMessage(const Json& value, const std::string& path, Fields& request);

/// The text of a member that is a text or a list of text parts; null where it is missing.
[[nodiscard]] Json ReadContent(Fields& message, const char* member, const std::string& path);

/// The arguments of an earlier call, which clients give as the text of a JSON object: the object. What is none stays.
[[nodiscard]] Json CallArguments(const Json& given);

/// Whether `member` is a list of messages, neither empty nor too long; else that is noted.
[[nodiscard]] bool CheckMessageCount(Fields& fields, const char* member);

/// Renders with the model's template, which is helped with what it does not know of `tools`, calls and results
/// (WithTools). 400 where the model has none, or where the template refuses; the message then
/// names the template's line.
[[nodiscard]] ApiResult<std::string> RenderConversation(const Model& model, Json conversation,
                                                        const ToolOptions& tools = {});

/// Encodes a rendered conversation. Most templates write the beginning-of-text token themselves; where a model wants
/// one and its template has none, it is added, so that there is exactly one.
[[nodiscard]] std::vector<int32_t> EncodeRendered(const Tokenizer& tokenizer, std::string_view rendered);

}  // namespace kvasir::server
