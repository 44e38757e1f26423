// Macros as values.
#pragma once

#include <string_view>

#include "jinja/ast.h"
#include "jinja/interpreter.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// A macro together with the frame it was defined in. It lives no longer than the interpreter: nothing of a rendering
/// leaves it but text.
class Macro final : public Object {
 public:
  Macro(Interpreter& interpreter, const MacroDefinition& definition, Frame* closure)
      : interpreter_(interpreter), definition_(definition), closure_(closure) {}

  std::string_view type_name() const override { return "Macro"; }
  std::string_view qualified_type_name() const override { return "jinja2.runtime.Macro"; }
  bool callable() const override { return true; }
  Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name) override;
  Result<Value> Call(Runtime& runtime, Arguments arguments) override;
  Status Repr(Runtime& runtime, std::string& out) override;

 private:
  Interpreter& interpreter_;
  const MacroDefinition& definition_;
  Frame* closure_;
};

}  // namespace kvasir::jinja
