// Frames, macros and the output.

#include "jinja/interpreter.h"

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/macro.h"
#include "jinja/objects.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

Result<std::string> Interpreter::Run(const Program& program) {
  Frame local;
  Frame& frame = NewFrame(program.scope, nullptr, local);
  EnterFrame(program.scope, frame);
  std::string out;
  KV_TRY(ExecBody(program.body, frame, out));
  return out;
}

Frame& Interpreter::NewFrame(const Scope& scope, Frame* parent, Frame& local) {
  Frame* frame = &local;
  if (scope.captured) {
    captured_.push_back(std::make_unique<CapturedFrame>(runtime_.meter(), scope.loads.size()));
    frame = &captured_.back()->frame;
  }
  frame->parent = parent;
  frame->slots.assign(scope.loads.size(), Value());
  runtime_.Charge(scope.loads.size() * sizeof(Value));
  return *frame;
}

void Interpreter::EnterFrame(const Scope& scope, Frame& frame) {
  for (size_t slot = 0; slot < scope.loads.size(); ++slot) {
    const Load& load = scope.loads[slot];
    switch (load.kind) {
      case Load::Kind::kParameter: break;
      case Load::Kind::kContext: frame.slots[slot] = Lookup(load.name); break;
      case Load::Kind::kAlias: frame.slots[slot] = SlotAt(frame, load.alias); break;
      case Load::Kind::kMissing: frame.slots[slot] = Value(); break;
    }
  }
}

Value& Interpreter::SlotAt(Frame& frame, SlotRef ref) {
  Frame* owner = &frame;
  for (uint32_t hop = 0; hop < ref.hops; ++hop) owner = owner->parent;
  return owner->slots[ref.slot];
}

Value Interpreter::Lookup(std::string_view name) const {
  if (const auto it = variables_.find(std::string(name)); it != variables_.end()) return it->second;
  if (const Builtin* global = Globals().Find(name)) {
    return runtime_.MakeObject(std::make_shared<BoundBuiltin>(*global, Value()));
  }
  return Value();
}

Status Interpreter::Write(std::string_view text, std::string& out) {
  const size_t limit = runtime_.options().limits.max_output_bytes;
  if (text.size() > limit || out.size() > limit - text.size()) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the output is longer than {} bytes (max_output_bytes)", limit));
  }
  runtime_.Charge(text.size());
  out += text;
  return {};
}

Status Interpreter::BindParameters(const MacroDefinition& macro, Frame& frame, Arguments& arguments) {
  auto& keyword = arguments.keyword;
  const auto take_keyword = [&](std::string_view name) {
    for (auto it = keyword.begin(); it != keyword.end(); ++it) {
      if (it->first != name) continue;
      Value value = std::move(it->second);
      keyword.erase(it);
      return value;
    }
    return Value();
  };
  const auto shown_name = [&] { return macro.anonymous ? std::string("None") : fmt::format("'{}'", macro.name); };

  const size_t given = arguments.positional.size();
  bool found_caller = given >= macro.parameters.size() && macro.explicit_caller;
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const MacroParameter& parameter = macro.parameters[i];
    Value value = i < given ? arguments.positional[i] : take_keyword(parameter.name);
    found_caller = found_caller || (i >= given && parameter.name == "caller");
    frame.slots[parameter.slot] = std::move(value);
  }
  if (macro.accesses_caller && !found_caller && macro.caller_slot != MacroDefinition::kNoSlot) {
    Value caller = take_keyword("caller");
    frame.slots[macro.caller_slot] =
        caller.is_missing() || caller.is_none() ? Value::Undefined("No caller defined") : std::move(caller);
  }
  if (macro.kwargs_slot != MacroDefinition::kNoSlot) {
    auto rest = std::make_shared<Dict>();
    for (auto& [key, value] : keyword) KV_TRY(rest->Insert(runtime_, runtime_.String(key), value));
    frame.slots[macro.kwargs_slot] = runtime_.MakeDict(std::move(rest));
  } else if (!keyword.empty()) {
    if (keyword.front().first == "caller") {
      return Raise("macro {} was invoked with two values for the special caller argument. This is most likely a bug.",
                   shown_name());
    }
    return Raise("macro {} takes no keyword argument '{}'", shown_name(), keyword.front().first);
  }
  if (macro.varargs_slot != MacroDefinition::kNoSlot) {
    const size_t taken = std::min(given, macro.parameters.size());
    std::vector<Value> rest(arguments.positional.begin() + static_cast<ptrdiff_t>(taken), arguments.positional.end());
    frame.slots[macro.varargs_slot] = runtime_.MakeTuple(std::move(rest));
  } else if (given > macro.parameters.size()) {
    return Raise("macro {} takes not more than {} argument(s)", shown_name(), macro.parameters.size());
  }
  return {};
}

Result<Value> Interpreter::CallMacro(const MacroDefinition& macro, Frame* closure, Arguments arguments) {
  const DepthGuard guard(runtime_);
  KV_TRY(guard.Check());
  KV_TRY(runtime_.Step());
  Frame local;
  Frame& frame = NewFrame(macro.scope, closure, local);
  KV_TRY(BindParameters(macro, frame, arguments));
  EnterFrame(macro.scope, frame);
  for (const MacroParameter& parameter : macro.parameters) {
    Value& slot = frame.slots[parameter.slot];
    if (!slot.is_missing()) continue;
    if (!parameter.fallback) {
      slot = Value::Undefined(fmt::format("parameter '{}' was not provided", parameter.name));
      continue;
    }
    KV_ASSIGN(Value value, Eval(*parameter.fallback, frame));
    frame.slots[parameter.slot] = std::move(value);
  }
  std::string out;
  KV_TRY(ExecBody(macro.body, frame, out));
  return runtime_.String(std::move(out));
}

Result<std::optional<Value>> Macro::Attribute(Runtime& runtime, std::string_view name) {
  if (name == "name") return definition_.anonymous ? Value::None() : runtime.String(definition_.name);
  if (name == "catch_kwargs") return Value::Bool(definition_.kwargs_slot != MacroDefinition::kNoSlot);
  if (name == "catch_varargs") return Value::Bool(definition_.varargs_slot != MacroDefinition::kNoSlot);
  if (name == "caller") return Value::Bool(definition_.accesses_caller);
  if (name == "explicit_caller") return Value::Bool(definition_.explicit_caller);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const MacroParameter& parameter : definition_.parameters) names.push_back(runtime.String(parameter.name));
    return runtime.MakeTuple(std::move(names));
  }
  return std::nullopt;
}

Result<Value> Macro::Call(Runtime&, Arguments arguments) {
  return interpreter_.CallMacro(definition_, closure_, std::move(arguments));
}

Status Macro::Repr(Runtime&, std::string& out) {
  out += definition_.anonymous ? "<Macro anonymous>" : fmt::format("<Macro '{}'>", definition_.name);
  return {};
}

}  // namespace kvasir::jinja
