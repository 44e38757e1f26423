// Statements.

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/interpreter.h"
#include "jinja/iteration.h"
#include "jinja/loop_context.h"
#include "jinja/macro.h"
#include "jinja/objects.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

/// The items of a loop that pass its `if`. The test is evaluated when the item is asked for, because the body before
/// may have changed what it depends on.
class FilteredIterator final : public Iterator {
 public:
  FilteredIterator(Interpreter& interpreter, const ForStmt& loop, Frame& frame, IteratorPtr source)
      : Iterator(source->depth() + 1),
        interpreter_(interpreter),
        loop_(loop),
        frame_(frame),
        source_(std::move(source)) {}

  Result<std::optional<Value>> Next(Runtime& runtime) override {
    while (true) {
      KV_TRY(runtime.Step());
      KV_ASSIGN(std::optional<Value> item, source_->Next(runtime));
      if (!item) return item;
      KV_TRY(interpreter_.Assign(*loop_.target, *item, frame_));
      KV_ASSIGN(const bool passes, interpreter_.EvalTruth(*loop_.test, frame_));
      if (passes) return item;
    }
  }

 private:
  Interpreter& interpreter_;
  const ForStmt& loop_;
  Frame& frame_;
  IteratorPtr source_;
};

using Flow = Interpreter::Flow;

Result<Flow> Interpreter::ExecBody(const Body& body, Frame& frame, std::string& out) {
  for (const Stmt& stmt : body) {
    auto flow = ExecOne(stmt, frame, out);
    if (!flow) [[unlikely]] {
      NoteErrorLine(stmt.line);
      return flow;
    }
    if (*flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Result<Flow> Interpreter::ExecOne(const Stmt& stmt, Frame& frame, std::string& out) {
  const DepthGuard guard(runtime_);
  KV_TRY(guard.Check());
  KV_TRY(runtime_.Step());
  return std::visit([&](const auto& node) { return Exec(node, frame, out); }, stmt.node);
}

Result<Flow> Interpreter::Exec(const TextStmt& stmt, Frame&, std::string& out) {
  KV_TRY(Write(stmt.text, out));
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const PrintStmt& stmt, Frame& frame, std::string& out) {
  KV_ASSIGN(const Value value, Eval(*stmt.value, frame));
  if (value.is_string()) {
    KV_TRY(Write(value.text(), out));
  } else {
    KV_ASSIGN(const std::string text, ToStr(runtime_, value));
    KV_TRY(Write(text, out));
  }
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const IfStmt& stmt, Frame& frame, std::string& out) {
  for (const auto& [test, body] : stmt.branches) {
    KV_ASSIGN(const bool holds, EvalTruth(*test, frame));
    if (holds) return ExecBody(body, frame, out);
  }
  return ExecBody(stmt.otherwise, frame, out);
}

Result<Flow> Interpreter::Exec(const BreakStmt&, Frame&, std::string&) {
  return Flow::kBreak;
}
Result<Flow> Interpreter::Exec(const ContinueStmt&, Frame&, std::string&) {
  return Flow::kContinue;
}

Result<Flow> Interpreter::Exec(const ForStmt& stmt, Frame& frame, std::string& out) {
  KV_ASSIGN(const Value iterable, Eval(*stmt.iterable, frame));
  return RunLoop(stmt, &frame, iterable, 0, out);
}

Result<Flow> Interpreter::RunLoop(const ForStmt& loop, Frame* outer, const Value& iterable, int64_t depth0,
                                  std::string& out) {
  const DepthGuard guard(runtime_);
  KV_TRY(guard.Check());
  KV_ASSIGN(IteratorPtr iterator, Iterate(runtime_, iterable));
  Frame test_local;
  if (loop.test) {
    Frame& test_frame = NewFrame(loop.test_scope, outer, test_local);
    EnterFrame(loop.test_scope, test_frame);
    iterator = std::make_shared<FilteredIterator>(*this, loop, test_frame, std::move(iterator));
  }
  Frame local;
  Frame& frame = NewFrame(loop.scope, outer, local);
  bool completed = false;
  Result<Flow> flow = Flow::kNormal;
  if (loop.uses_loop) {
    const auto context =
        std::make_shared<LoopContext>(*this, loop, outer, loop.test ? Value() : iterable, std::move(iterator), depth0);
    frame.slots[loop.loop_slot] = runtime_.MakeObject(context);
    flow = RunIterations(loop, frame, *context, out, completed);
    context->Finish();
    frame.slots.assign(frame.slots.size(), Value());
  } else {
    flow = RunIterations(loop, frame, *iterator, out, completed);
  }
  if (!flow || completed || !loop.has_else) return flow;
  Frame else_local;
  Frame& else_frame = NewFrame(loop.else_scope, outer, else_local);
  EnterFrame(loop.else_scope, else_frame);
  return ExecBody(loop.otherwise, else_frame, out);
}

/// `completed` becomes true when a body ran to its end: Jinja's `else` asks for that, and not for whether there were
/// items, so a loop whose every iteration is continued or broken off runs it too.
Result<Flow> Interpreter::RunIterations(const ForStmt& loop, Frame& frame, Iterator& iterator, std::string& out,
                                        bool& completed) {
  while (true) {
    KV_TRY(runtime_.Step());
    KV_ASSIGN(std::optional<Value> item, iterator.Next(runtime_));
    if (!item) return Flow::kNormal;
    KV_TRY(Assign(*loop.target, std::move(*item), frame));
    EnterFrame(loop.scope, frame);
    KV_ASSIGN(const Flow flow, ExecBody(loop.body, frame, out));
    if (flow == Flow::kBreak) return Flow::kNormal;
    if (flow == Flow::kNormal) completed = true;
  }
}

Status Interpreter::CheckNamespaces(const Expr& target, Frame& frame) {
  if (const auto* attribute = std::get_if<NamespaceTarget>(&target.node)) {
    if (SlotAt(frame, attribute->ref).As<Namespace>() == nullptr) {
      return Raise("cannot assign attribute on non-namespace object");
    }
  } else if (const auto* tuple = std::get_if<SequenceExpr>(&target.node)) {
    for (const ExprPtr& item : tuple->items) KV_TRY(CheckNamespaces(*item, frame));
  }
  return {};
}

Status Interpreter::Assign(const Expr& target, Value value, Frame& frame) {
  if (const auto* name = std::get_if<NameExpr>(&target.node)) {
    SlotAt(frame, name->ref) = std::move(value);
    return {};
  }
  if (const auto* attribute = std::get_if<NamespaceTarget>(&target.node)) {
    auto* object = SlotAt(frame, attribute->ref).As<Namespace>();
    if (object == nullptr) return Raise("cannot assign attribute on non-namespace object");
    return object->Set(runtime_, attribute->attribute, std::move(value));
  }
  return AssignTuple(std::get<SequenceExpr>(target.node), value, frame);
}

Status Interpreter::AssignTuple(const SequenceExpr& target, const Value& value, Frame& frame) {
  const size_t expected = target.items.size();
  if (!IsIterable(value)) return Raise("cannot unpack non-iterable {} object", value.type_name());
  KV_ASSIGN(const IteratorPtr iterator, Iterate(runtime_, value));
  std::vector<Value> values;
  while (values.size() <= expected) {
    KV_ASSIGN(std::optional<Value> next, iterator->Next(runtime_));
    if (!next) break;
    values.push_back(std::move(*next));
  }
  if (values.size() < expected) {
    return Raise("not enough values to unpack (expected {}, got {})", expected, values.size());
  }
  if (values.size() > expected) return Raise("too many values to unpack (expected {})", expected);
  for (size_t i = 0; i < expected; ++i) KV_TRY(Assign(*target.items[i], std::move(values[i]), frame));
  return {};
}

Result<Flow> Interpreter::Exec(const SetStmt& stmt, Frame& frame, std::string&) {
  KV_TRY(CheckNamespaces(*stmt.target, frame));
  KV_ASSIGN(Value value, Eval(*stmt.value, frame));
  KV_TRY(Assign(*stmt.target, std::move(value), frame));
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const SetBlockStmt& stmt, Frame& frame, std::string&) {
  Frame local;
  Frame& inner = NewFrame(stmt.scope, &frame, local);
  EnterFrame(stmt.scope, inner);
  std::string text;
  KV_ASSIGN(const Flow flow, ExecBody(stmt.body, inner, text));
  if (flow != Flow::kNormal) return flow;
  Value value = runtime_.String(std::move(text));
  if (stmt.filter) {
    block_text_ = std::move(value);
    KV_ASSIGN(value, Eval(*stmt.filter, inner));
  }
  KV_TRY(Assign(*stmt.target, std::move(value), frame));
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const FilterBlockStmt& stmt, Frame& frame, std::string& out) {
  Frame local;
  Frame& inner = NewFrame(stmt.scope, &frame, local);
  EnterFrame(stmt.scope, inner);
  std::string text;
  KV_ASSIGN(const Flow flow, ExecBody(stmt.body, inner, text));
  if (flow != Flow::kNormal) return flow;
  block_text_ = runtime_.String(std::move(text));
  KV_ASSIGN(const Value value, Eval(*stmt.filter, inner));
  if (!value.is_string()) return Raise("sequence item: expected str instance, {} found", value.type_name());
  KV_TRY(Write(value.text(), out));
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const MacroStmt& stmt, Frame& frame, std::string&) {
  SlotAt(frame, stmt.ref) = runtime_.MakeObject(std::make_shared<Macro>(*this, stmt.definition, &frame));
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const CallBlockStmt& stmt, Frame& frame, std::string& out) {
  Value value;
  if (stmt.call) {
    const Value caller = runtime_.MakeObject(std::make_shared<Macro>(*this, stmt.definition, &frame));
    auto result = EvalCall(std::get<CallExpr>(stmt.call->node), frame, &caller);
    if (!result) NoteErrorLine(stmt.call->line);
    KV_ASSIGN(value, std::move(result));
  } else {
    KV_ASSIGN(value, CallMacro(stmt.definition, &frame, {}));
  }
  KV_ASSIGN(const std::string text, ToStr(runtime_, value));
  KV_TRY(Write(text, out));
  return Flow::kNormal;
}

Result<Flow> Interpreter::Exec(const WithStmt& stmt, Frame& frame, std::string& out) {
  Frame local;
  Frame& inner = NewFrame(stmt.scope, &frame, local);
  EnterFrame(stmt.scope, inner);
  for (const auto& [target, expr] : stmt.assignments) {
    KV_ASSIGN(Value value, Eval(*expr, frame));
    KV_TRY(Assign(*target, std::move(value), inner));
  }
  return ExecBody(stmt.body, inner, out);
}

Result<Flow> Interpreter::Exec(const ScopeStmt& stmt, Frame& frame, std::string& out) {
  Frame local;
  Frame& inner = NewFrame(stmt.scope, &frame, local);
  EnterFrame(stmt.scope, inner);
  return ExecBody(stmt.body, inner, out);
}

}  // namespace kvasir::jinja
