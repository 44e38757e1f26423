// A chat template: parse once, render many times. The room's front door.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "jinja/render_options.h"
#include "kvasir/result.h"

namespace kvasir::jinja {

struct Program;

/// A parsed template. Immutable: any number of threads may render the same Template at once. Copies share the program.
class Template {
 public:
  /// Parses `source`. The behaviour is that of Jinja2 3.1 as the transformers library sets it up: trim_blocks,
  /// lstrip_blocks, loop controls, the immutable sandbox, no autoescape.
  ///
  /// Errors: ErrorCode::kInvalidArgument, "template line 12: ..." with the line and the cause; kResourceExhausted when
  /// the nesting or the length is beyond what is parsed. Never throws, never overflows the stack.
  [[nodiscard]] static Result<Template> Parse(std::string_view source);

  /// Renders with the members of the object `context` as variables.
  ///
  /// Errors: kInvalidArgument with the template line for whatever the template does wrong or refuses with
  /// raise_exception(); kResourceExhausted for a limit of `options`; kUnsupported for calculating with, or
  /// to, an integer beyond 64 bits.
  [[nodiscard]] Result<std::string> Render(const nlohmann::ordered_json& context,
                                           const RenderOptions& options = {}) const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace kvasir::jinja
