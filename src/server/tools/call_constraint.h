// What an answer must look like because of its tools.
#pragma once

#include <optional>

#include "kvasir/grammar.h"
#include "kvasir/result.h"
#include "server/tools/tool.h"
#include "server/tools/tool_prompt.h"

namespace kvasir::server {

/// The answers that `tools` allow where the text of an answer must be one of `text`, or any where there is none.
/// Nothing where every answer is allowed: calls of a free model are only found, not enforced. A call that is required
/// has the arguments that its function's schema allows; one that is not, only where the function is strict or there may
/// be one call only. With `thinking` the prompt ends inside the model's thoughts, which are free. Errors: a schema that
/// cannot be held to.
[[nodiscard]] Result<std::optional<Grammar>> AnswerGrammar(const ToolOptions& tools, const ToolDialect& dialect,
                                                           const std::optional<Grammar>& text, bool thinking = false);

}  // namespace kvasir::server
