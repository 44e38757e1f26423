// A chat template: parse once, render many times. The room's front door.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "kvasir/result.h"

namespace kvasir::jinja {

struct Program;

/// What one rendering may cost. A template that wants more ends with ErrorCode::kResourceExhausted.
struct RenderLimits {
  uint64_t max_steps = 20'000'000;        ///< Expressions and statements evaluated, items visited by filters included.
  size_t max_output_bytes = 64ull << 20;  ///< Length of the rendered text.
  size_t max_value_bytes = 64ull << 20;   ///< Length of one string, or memory of one list, made on the way.
  uint64_t max_total_bytes = 1ull << 30;  ///< All strings and containers made on the way, freed ones included.
};

/// A local date and time for `strftime_now`; weekday and day of the year are derived from the date.
struct CivilTime {
  int year = 1970;
  int month = 1;  ///< 1 to 12
  int day = 1;    ///< 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
};

struct RenderOptions {
  RenderLimits limits;
  /// The time `strftime_now` sees; the local clock when empty.
  std::optional<CivilTime> now;
};

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
  /// raise_exception(); kResourceExhausted for a limit of `options`; kUnsupported for an integer beyond 64 bits.
  [[nodiscard]] Result<std::string> Render(const nlohmann::ordered_json& context,
                                           const RenderOptions& options = {}) const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace kvasir::jinja
