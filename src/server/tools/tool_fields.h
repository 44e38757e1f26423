// Reading the tools of a request, in the words of each API.
#pragma once

#include <string>
#include <string_view>

#include "server/app.h"
#include "server/fields.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// The members tools, tool_choice and parallel_tool_calls of a chat. Problems are noted in `fields`; a model that has a
/// way of calling tools which is not known here is one.
[[nodiscard]] ToolOptions ReadChatTools(Fields& fields);

/// The same members of a response, where a function's members stand in the tool itself.
[[nodiscard]] ToolOptions ReadResponseTools(Fields& fields);

/// The members tools and tool_choice of a message in Anthropic's words.
[[nodiscard]] ToolOptions ReadMessageTools(Fields& fields);

/// {"type": "object", "properties": {}} where a schema says nothing. Notes a problem where it is none of an object.
[[nodiscard]] Json ReadParameters(Fields& function, std::string_view member);

}  // namespace kvasir::server
