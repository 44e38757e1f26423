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

/// The messages in the list `member` of a request, as templates take them. Beside what chats have, the items of a
/// response's input are taken: of type "message", with parts of type "input_text" and "output_text".
[[nodiscard]] Json ReadMessages(Fields& fields, const char* member);

/// Renders with the model's template. 400 where the model has none, or where the template refuses; the message then
/// names the template's line.
[[nodiscard]] ApiResult<std::string> RenderConversation(const Model& model, const Json& conversation);

/// Encodes a rendered conversation. Most templates write the beginning-of-text token themselves; where a model wants
/// one and its template has none, it is added, so that there is exactly one.
[[nodiscard]] std::vector<int32_t> EncodeRendered(const Tokenizer& tokenizer, std::string_view rendered);

}  // namespace kvasir::server
