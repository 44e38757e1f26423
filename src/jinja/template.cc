#include "jinja/template.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "jinja/interpreter.h"
#include "jinja/json_text.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/resolver.h"
#include "jinja/runtime.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// Longer templates are refused. The longest published ones are some 30 KiB.
constexpr size_t kMaxSourceBytes = 16ull << 20;

}  // namespace

Result<Template> Template::Parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("a template of {} bytes is longer than the limit of {}", source.size(), kMaxSourceBytes));
  }
  KV_ASSIGN(const std::vector<Token> tokens, Tokenize(ToValidUtf8(source)));
  KV_ASSIGN(Program program, ParseProgram(tokens));
  KV_TRY(ResolveNames(program));
  return Template(std::make_shared<const Program>(std::move(program)));
}

Result<std::string> Template::Render(const nlohmann::ordered_json& context, const RenderOptions& options) const {
  if (!context.is_object()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the variables of a template must be an object, not {}", context.type_name()));
  }
  Runtime runtime(options);
  Interpreter::Variables variables;
  for (const auto& [name, json] : context.items()) {
    auto value = FromJson(runtime, json);
    if (!value) return Fail(value.error().code, fmt::format("the variable '{}': {}", name, value.error().message));
    variables.insert_or_assign(ToValidUtf8(name), std::move(*value));
  }
  Interpreter interpreter(runtime, variables);
  auto result = interpreter.Run(*program_);
  if (!result) return FailAt(interpreter.error_line(), result.error().code, result.error().message);
  return result;
}

}  // namespace kvasir::jinja
