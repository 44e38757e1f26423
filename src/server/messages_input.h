// A conversation in Anthropic's words, as a conversation in OpenAI's.
#pragma once

#include "server/fields.h"
#include "server/json.h"

namespace kvasir::server {

/// Reads the members system and messages. Blocks of text are joined, uses of tools become calls, their results messages
/// of the role "tool". Other blocks, such as images, are noted in `fields` by their type and place.
[[nodiscard]] Json ReadMessagesInput(Fields& fields);

}  // namespace kvasir::server
