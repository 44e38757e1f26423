// Tools, calls and results in a conversation, in the form that a model's template takes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvasir/chat_template.h"
#include "kvasir/tokenizer.h"
#include "server/json.h"
#include "server/tools/call_format.h"
#include "server/tools/template_traits.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// How a model speaks of tools.
struct ToolDialect {
  const CallFormat* format = nullptr;  ///< Null: in a way that is not known.
  TemplateTraits traits;
  std::vector<int32_t> markers;           ///< Control tokens that are part of calls: Request::shown_tokens.
  std::vector<std::string> marker_texts;  ///< Their names.
};

/// Without the markers.
[[nodiscard]] ToolDialect DialectOf(const ChatTemplate& chat_template);
[[nodiscard]] ToolDialect DialectOf(const ChatTemplate& chat_template, const Tokenizer& tokenizer);

/// Makes a conversation {"messages": [...], ...} in the words of OpenAI's chats one that the template can render. What
/// a template knows by itself is left to it, in the form it wants. What it does not know is written into the text:
/// tools into the system message (or the first one of the user), calls into the answer as the model would write them,
/// results into a message of the user. Tools that may not be called are not mentioned.
[[nodiscard]] Json WithTools(Json conversation, const ToolOptions& tools, const ToolDialect& dialect);

/// `id` if it has nine letters and digits, else nine that follow from it.
[[nodiscard]] std::string ShortCallId(const std::string& id);

}  // namespace kvasir::server
