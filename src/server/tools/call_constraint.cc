#include "server/tools/call_constraint.h"

#include <algorithm>

#include "base/check.h"
#include "server/tools/call_grammar.h"

namespace kvasir::server {

Result<std::optional<Grammar>> AnswerGrammar(const ToolOptions& tools, const ToolDialect& dialect,
                                             const std::optional<Grammar>& text) {
  if (!tools.offered() || dialect.format == nullptr) return text;
  const CallFormat& format = *dialect.format;
  const Spelling spelled(dialect.marker_texts);
  const std::vector<Tool> callable = tools.Callable();
  const bool required = tools.use == ToolUse::kAlways;
  const bool strict = std::any_of(callable.begin(), callable.end(), [](const Tool& tool) { return tool.strict; });
  if (!required && !text && !strict && tools.parallel) return std::nullopt;
  const ArgumentRule rule = required ? ArgumentRule::kSchema : ArgumentRule::kStrict;
  KV_ASSIGN(Grammar calls, format.CallsGrammar(callable, rule, tools.parallel, spelled));
  if (required) return calls;
  if (text) return Grammar::Choice({*text, calls});
  return format.FreeAnswer(calls, spelled);
}

}  // namespace kvasir::server
