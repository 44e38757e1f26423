// Tools, calls and results in a conversation, in the form that a model's template takes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvasir/chat_template.h"
#include "kvasir/tokenizer.h"
#include "server/json.h"
#include "server/tools/formats.h"
#include "server/tools/template_traits.h"
#include "server/tools/thoughts.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// How a model speaks of tools, and tells its thoughts from its answers.
struct ToolDialect {
  const CallFormat* format = &GenericFormat();
  TemplateTraits traits;
  const ThoughtStyle* thoughts = nullptr;  ///< Null: it has no marks of its own.
  bool separate_thoughts = true;           ///< Clients get them apart from the text.
  std::vector<int32_t> markers;            ///< Control tokens that are part of calls or stand around thoughts.
  std::vector<std::string> marker_texts;   ///< Their names.

  /// Of `markers` those whose text is needed to read an answer: Request::shown_tokens.
  [[nodiscard]] std::vector<int32_t> ShownTokens(const ToolOptions& tools) const;
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
