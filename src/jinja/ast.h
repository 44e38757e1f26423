// The syntax tree of a template: what the parser makes, the resolver completes and the interpreter walks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/builtins.h"
#include "jinja/operators.h"
#include "jinja/value.h"

namespace kvasir::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<Stmt>;

/// Where a variable lives: so many frames outwards, and its slot there.
struct SlotRef {
  uint32_t hops = 0;
  uint32_t slot = 0;
};

/// What a slot holds when its frame is entered.
struct Load {
  enum class Kind : uint8_t {
    kParameter,  ///< set by whoever enters the frame
    kContext,    ///< the variable `name` given to Render, or a global
    kAlias,      ///< the present value of an outer variable
    kMissing,    ///< nothing
  };
  Kind kind = Kind::kMissing;
  std::string name;
  SlotRef alias;
};

/// The variables of one frame, filled in by the resolver.
struct Scope {
  std::vector<Load> loads;  ///< one per slot
  bool captured = false;    ///< A macro defined inside may outlive the frame.
};

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr star;         ///< *args, or null
  ExprPtr double_star;  ///< **kwargs, or null
};

struct ConstantExpr {
  Value value;
};
struct NameExpr {
  std::string name;
  SlotRef ref;
};
/// `namespace.attribute`, as the target of a set.
struct NamespaceTarget {
  std::string name;
  std::string attribute;
  SlotRef ref;
};
struct SequenceExpr {
  std::vector<ExprPtr> items;
  bool is_tuple = false;
};
struct DictExpr {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct UnaryExpr {
  enum class Op : uint8_t { kNot, kNegate, kPosit };
  Op op;
  ExprPtr operand;
};
struct BinaryExpr {
  ArithmeticOp op;
  ExprPtr left;
  ExprPtr right;
};
struct LogicExpr {
  bool is_and;
  ExprPtr left;
  ExprPtr right;
};
struct ConcatExpr {
  std::vector<ExprPtr> parts;
};
struct CompareExpr {
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct ConditionalExpr {
  ExprPtr test;
  ExprPtr then;
  ExprPtr otherwise;  ///< or null
};
struct AttributeExpr {
  ExprPtr object;
  std::string name;
};
struct ItemExpr {
  ExprPtr object;
  ExprPtr key;
};
struct SliceExpr {
  ExprPtr object;
  ExprPtr start;  ///< this and the next two: or null
  ExprPtr stop;
  ExprPtr step;
};
struct CallExpr {
  ExprPtr callee;
  CallArguments arguments;
};
/// A filter or a test applied to a value.
struct ApplyExpr {
  bool is_test = false;
  std::string name;
  const Builtin* builtin = nullptr;  ///< null when there is none of that name, which matters only if it is reached
  ExprPtr object;                    ///< null: the text of the enclosing filter or set block
  CallArguments arguments;
};

struct Expr {
  using Node =
      std::variant<ConstantExpr, NameExpr, NamespaceTarget, SequenceExpr, DictExpr, UnaryExpr, BinaryExpr, LogicExpr,
                   ConcatExpr, CompareExpr, ConditionalExpr, AttributeExpr, ItemExpr, SliceExpr, CallExpr, ApplyExpr>;
  Node node;
  int line = 0;
  int height = 1;  ///< of the tree below and including this
};

struct TextStmt {
  std::string text;
};
struct PrintStmt {
  ExprPtr value;
};
struct IfStmt {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct ForStmt {
  ExprPtr target;
  ExprPtr iterable;
  ExprPtr test;  ///< or null
  Body body;
  Body otherwise;
  bool recursive = false;
  bool has_else = false;
  bool uses_loop = false;  ///< The body needs the variable `loop`, which is then slot `loop_slot`.
  uint32_t loop_slot = 0;
  Scope scope;
  Scope test_scope;  ///< Its slots of the target are those of `scope`.
  Scope else_scope;
};
struct SetStmt {
  ExprPtr target;
  ExprPtr value;
};
struct SetBlockStmt {
  ExprPtr target;
  ExprPtr filter;  ///< or null
  Body body;
  Scope scope;
};
struct MacroParameter {
  std::string name;
  uint32_t slot = 0;
  ExprPtr fallback;  ///< or null
};
/// A macro, or the body of a call block.
struct MacroDefinition {
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  std::string name;
  bool anonymous = false;
  std::vector<MacroParameter> parameters;
  Body body;
  Scope scope;
  bool explicit_caller = false;    ///< `caller` is among the parameters.
  bool accesses_caller = false;    ///< The body mentions `caller`.
  uint32_t caller_slot = kNoSlot;  ///< of the implicit parameter caller; likewise the next two
  uint32_t kwargs_slot = kNoSlot;
  uint32_t varargs_slot = kNoSlot;
};
struct MacroStmt {
  SlotRef ref;
  MacroDefinition definition;
};
/// {% call %}: the call gets the body as `caller`. Without a call ({% generation %}) the body is simply run.
struct CallBlockStmt {
  ExprPtr call;
  MacroDefinition definition;
};
struct FilterBlockStmt {
  ExprPtr filter;
  Body body;
  Scope scope;
};
struct WithStmt {
  std::vector<std::pair<ExprPtr, ExprPtr>> assignments;
  Body body;
  Scope scope;
};
struct ScopeStmt {
  Body body;
  Scope scope;
};
struct BreakStmt {};
struct ContinueStmt {};

struct Stmt {
  using Node = std::variant<TextStmt, PrintStmt, IfStmt, ForStmt, SetStmt, SetBlockStmt, MacroStmt, CallBlockStmt,
                            FilterBlockStmt, WithStmt, ScopeStmt, BreakStmt, ContinueStmt>;
  Node node;
  int line = 0;
};

/// A whole template.
struct Program {
  Body body;
  Scope scope;
};

}  // namespace kvasir::jinja
