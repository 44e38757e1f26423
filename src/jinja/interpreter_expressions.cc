// Expressions.

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/dict.h"
#include "jinja/interpreter.h"
#include "jinja/iteration.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

Result<Value> Interpreter::Eval(const Expr& expr, Frame& frame) {
  const DepthGuard guard(runtime_);
  Status status = guard.Check();
  if (status) status = runtime_.Step();
  Result<Value> result = status ? std::visit([&](const auto& node) { return EvalNode(node, expr, frame); }, expr.node)
                                : Result<Value>(std::unexpected(std::move(status).error()));
  if (!result) [[unlikely]]
    NoteErrorLine(expr.line);
  return result;
}

Result<bool> Interpreter::EvalTruth(const Expr& expr, Frame& frame) {
  KV_ASSIGN(const Value value, Eval(expr, frame));
  return Truth(runtime_, value);
}

Result<Value> Interpreter::EvalNode(const ConstantExpr& node, const Expr&, Frame&) {
  return node.value;
}

Result<Value> Interpreter::EvalNode(const NameExpr& node, const Expr&, Frame& frame) {
  const Value& value = SlotAt(frame, node.ref);
  return value.is_missing() ? UndefinedName(node.name) : value;
}

Result<Value> Interpreter::EvalNode(const NamespaceTarget& node, const Expr&, Frame& frame) {
  return GetAttribute(runtime_, SlotAt(frame, node.ref), node.attribute);
}

Result<Value> Interpreter::EvalNode(const SequenceExpr& node, const Expr&, Frame& frame) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExprPtr& item : node.items) {
    KV_ASSIGN(Value value, Eval(*item, frame));
    items.push_back(std::move(value));
  }
  return node.is_tuple ? runtime_.MakeTuple(std::move(items)) : runtime_.MakeList(std::move(items));
}

Result<Value> Interpreter::EvalNode(const DictExpr& node, const Expr&, Frame& frame) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key_expr, value_expr] : node.entries) {
    KV_ASSIGN(Value key, Eval(*key_expr, frame));
    KV_ASSIGN(Value value, Eval(*value_expr, frame));
    KV_TRY(dict->Insert(runtime_, std::move(key), std::move(value)));
  }
  return runtime_.MakeDict(std::move(dict));
}

Result<Value> Interpreter::EvalNode(const UnaryExpr& node, const Expr&, Frame& frame) {
  if (node.op == UnaryExpr::Op::kNot) {
    KV_ASSIGN(const bool truth, EvalTruth(*node.operand, frame));
    return Value::Bool(!truth);
  }
  KV_ASSIGN(const Value value, Eval(*node.operand, frame));
  return node.op == UnaryExpr::Op::kNegate ? Negate(value) : Posit(value);
}

Result<Value> Interpreter::EvalNode(const BinaryExpr& node, const Expr&, Frame& frame) {
  KV_ASSIGN(const Value left, Eval(*node.left, frame));
  KV_ASSIGN(const Value right, Eval(*node.right, frame));
  return Calculate(runtime_, node.op, left, right);
}

Result<Value> Interpreter::EvalNode(const LogicExpr& node, const Expr&, Frame& frame) {
  KV_ASSIGN(Value left, Eval(*node.left, frame));
  KV_ASSIGN(const bool truth, Truth(runtime_, left));
  if (truth != node.is_and) return left;
  return Eval(*node.right, frame);
}

Result<Value> Interpreter::EvalNode(const ConcatExpr& node, const Expr&, Frame& frame) {
  std::vector<Value> parts;
  parts.reserve(node.parts.size());
  for (const ExprPtr& part : node.parts) {
    KV_ASSIGN(Value value, Eval(*part, frame));
    parts.push_back(std::move(value));
  }
  std::string text;
  for (const Value& part : parts) KV_TRY(AppendStr(runtime_, part, text));
  return runtime_.String(std::move(text));
}

Result<Value> Interpreter::EvalNode(const CompareExpr& node, const Expr&, Frame& frame) {
  KV_ASSIGN(Value left, Eval(*node.first, frame));
  for (const auto& [op, expr] : node.rest) {
    KV_ASSIGN(Value right, Eval(*expr, frame));
    KV_ASSIGN(const bool holds, Compare(runtime_, op, left, right));
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

Result<Value> Interpreter::EvalNode(const ConditionalExpr& node, const Expr& expr, Frame& frame) {
  KV_ASSIGN(const bool holds, EvalTruth(*node.test, frame));
  if (holds) return Eval(*node.then, frame);
  if (node.otherwise) return Eval(*node.otherwise, frame);
  return Value::Undefined(fmt::format(
      "the inline if-expression on line {} evaluated to false and no else section was defined.", expr.line));
}

Result<Value> Interpreter::EvalNode(const AttributeExpr& node, const Expr&, Frame& frame) {
  KV_ASSIGN(const Value object, Eval(*node.object, frame));
  return GetAttribute(runtime_, object, node.name);
}

Result<Value> Interpreter::EvalNode(const ItemExpr& node, const Expr&, Frame& frame) {
  KV_ASSIGN(const Value object, Eval(*node.object, frame));
  KV_ASSIGN(const Value key, Eval(*node.key, frame));
  return GetItem(runtime_, object, key);
}

Result<Value> Interpreter::EvalNode(const SliceExpr& node, const Expr&, Frame& frame) {
  const auto bound = [&](const ExprPtr& part) -> Result<Value> { return part ? Eval(*part, frame) : Value::None(); };
  KV_ASSIGN(const Value object, Eval(*node.object, frame));
  KV_ASSIGN(const Value start, bound(node.start));
  KV_ASSIGN(const Value stop, bound(node.stop));
  KV_ASSIGN(const Value step, bound(node.step));
  return GetSlice(runtime_, object, start, stop, step);
}

Result<Value> Interpreter::EvalNode(const CallExpr& node, const Expr&, Frame& frame) {
  return EvalCall(node, frame, nullptr);
}

Result<Value> Interpreter::EvalNode(const ApplyExpr& node, const Expr&, Frame& frame) {
  Value object = block_text_;
  if (node.object) {
    KV_ASSIGN(object, Eval(*node.object, frame));
  }
  KV_ASSIGN(Arguments arguments, EvalArguments(node.arguments, frame));
  if (node.builtin == nullptr) return Raise("No {} named '{}' found.", node.is_test ? "test" : "filter", node.name);
  return jinja::Invoke(runtime_, *node.builtin, object, std::move(arguments));
}

Result<Value> Interpreter::EvalCall(const CallExpr& node, Frame& frame, const Value* caller) {
  KV_ASSIGN(const Value callee, Eval(*node.callee, frame));
  KV_ASSIGN(Arguments arguments, EvalArguments(node.arguments, frame));
  if (caller != nullptr) arguments.keyword.emplace_back("caller", *caller);
  if (callee.is_undefined()) return RaiseUndefined(callee);
  if (callee.kind() != Kind::kObject) return Raise("'{}' object is not callable", callee.type_name());
  return callee.object()->Call(runtime_, std::move(arguments));
}

Result<Arguments> Interpreter::EvalArguments(const CallArguments& arguments, Frame& frame) {
  Arguments result;
  result.positional.reserve(arguments.positional.size());
  for (const ExprPtr& argument : arguments.positional) {
    KV_ASSIGN(Value value, Eval(*argument, frame));
    result.positional.push_back(std::move(value));
  }
  for (const auto& [key, argument] : arguments.keyword) {
    KV_ASSIGN(Value value, Eval(*argument, frame));
    result.keyword.emplace_back(key, std::move(value));
  }
  if (arguments.star) {
    KV_ASSIGN(const Value rest, Eval(*arguments.star, frame));
    KV_ASSIGN(std::vector<Value> values, Collect(runtime_, rest));
    for (Value& value : values) result.positional.push_back(std::move(value));
  }
  if (arguments.double_star) {
    KV_ASSIGN(const Value mapping, Eval(*arguments.double_star, frame));
    KV_TRY(SpreadKeywords(mapping, result));
  }
  return result;
}

Status Interpreter::SpreadKeywords(const Value& mapping, Arguments& result) {
  if (!mapping.is_dict()) return Raise("argument after ** must be a mapping, not {}", mapping.type_name());
  for (const auto& [key, value] : mapping.dict().entries()) {
    KV_TRY(runtime_.Step());
    if (!key.is_string()) return Raise("keywords must be strings");
    for (const auto& [other, unused] : result.keyword) {
      KV_TRY(runtime_.Step());
      if (other == key.text()) return Raise("got multiple values for keyword argument '{}'", other);
    }
    result.keyword.emplace_back(key.text(), value);
  }
  return {};
}

}  // namespace kvasir::jinja
