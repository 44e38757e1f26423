#include "server/tools/call_constraint.h"

#include <algorithm>

#include "base/check.h"
#include "server/tools/call_grammar.h"

namespace kvasir::server {
namespace {

Result<std::optional<Grammar>> AnswerItself(const ToolOptions& tools, const CallFormat& format,
                                            const std::optional<Grammar>& text, const Spelling& spelled) {
  if (!tools.offered()) return text ? std::optional(format.TextAnswer(*text, spelled)) : std::nullopt;
  const std::vector<Tool> callable = tools.Callable();
  const bool required = tools.use == ToolUse::kAlways;
  const bool strict = std::any_of(callable.begin(), callable.end(), [](const Tool& tool) { return tool.strict; });
  if (!required && !text && !strict && tools.parallel) return std::nullopt;
  const ArgumentRule rule = required ? ArgumentRule::kSchema : ArgumentRule::kStrict;
  KV_ASSIGN(Grammar calls, format.CallsGrammar(callable, rule, tools.parallel, spelled));
  if (required) return calls;
  if (text) return Grammar::Choice({format.TextAnswer(*text, spelled), calls});
  return format.FreeAnswer(calls, spelled);
}

// The prompt has opened the model's thoughts: whatever it thinks, and then `answer`.
Grammar BehindThoughts(const Grammar& answer, const ThoughtStyle& style, const Spelling& spelled) {
  std::vector<std::string> words;
  if (!spelled.IsControlToken(style.close)) words.emplace_back(style.close);
  const Grammar lines = Grammar::Repeat(Grammar::Literal("\n"), 0, 2);
  return Grammar::Sequence({Grammar::TextWithout(words), spelled(style.close), lines, answer});
}

}  // namespace

Result<std::optional<Grammar>> AnswerGrammar(const ToolOptions& tools, const ToolDialect& dialect,
                                             const std::optional<Grammar>& text, bool thinking) {
  const Spelling spelled(dialect.marker_texts);
  KV_ASSIGN(std::optional<Grammar> answer, AnswerItself(tools, *dialect.format, text, spelled));
  if (answer && thinking) return BehindThoughts(*answer, *dialect.thoughts, spelled);
  return answer;
}

}  // namespace kvasir::server
