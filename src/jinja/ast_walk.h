// Visiting the children of a node, whatever its type.
#pragma once

#include <type_traits>
#include <variant>

#include "jinja/ast.h"

namespace kvasir::jinja {

/// Makes one callable of several, for std::visit.
template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

/// Calls `visit(ExprPtr&)` for each argument.
template <typename Visit>
void ForEachArgument(CallArguments& arguments, Visit visit) {
  for (ExprPtr& argument : arguments.positional) visit(argument);
  for (auto& [key, argument] : arguments.keyword) visit(argument);
  if (arguments.star) visit(arguments.star);
  if (arguments.double_star) visit(arguments.double_star);
}

/// Calls `visit(ExprPtr&)` for each child of an expression, in the order in which Jinja walks it: the order decides
/// which mention of a name comes first.
template <typename Visit>
void ForEachChild(Expr::Node& node, Visit visit) {
  const auto optional = [&](ExprPtr& child) {
    if (child) visit(child);
  };
  std::visit(Overloaded{
                 [](ConstantExpr&) {},
                 [](NameExpr&) {},
                 [](NamespaceTarget&) {},
                 [&](SequenceExpr& n) {
                   for (ExprPtr& item : n.items) visit(item);
                 },
                 [&](DictExpr& n) {
                   for (auto& [key, value] : n.entries) {
                     visit(key);
                     visit(value);
                   }
                 },
                 [&](UnaryExpr& n) { visit(n.operand); },
                 [&](BinaryExpr& n) {
                   visit(n.left);
                   visit(n.right);
                 },
                 [&](LogicExpr& n) {
                   visit(n.left);
                   visit(n.right);
                 },
                 [&](ConcatExpr& n) {
                   for (ExprPtr& part : n.parts) visit(part);
                 },
                 [&](CompareExpr& n) {
                   visit(n.first);
                   for (auto& [op, operand] : n.rest) visit(operand);
                 },
                 [&](ConditionalExpr& n) {
                   visit(n.test);
                   visit(n.then);
                   optional(n.otherwise);
                 },
                 [&](AttributeExpr& n) { visit(n.object); },
                 [&](ItemExpr& n) {
                   visit(n.object);
                   visit(n.key);
                 },
                 [&](SliceExpr& n) {
                   visit(n.object);
                   optional(n.start);
                   optional(n.stop);
                   optional(n.step);
                 },
                 [&](CallExpr& n) {
                   visit(n.callee);
                   ForEachArgument(n.arguments, visit);
                 },
                 [&](ApplyExpr& n) {
                   optional(n.object);
                   ForEachArgument(n.arguments, visit);
                 },
             },
             node);
}

}  // namespace kvasir::jinja
