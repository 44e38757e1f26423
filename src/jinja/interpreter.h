// Walks a resolved program and writes its text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "jinja/ast.h"
#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// The variables of one activation: of the template, a loop, a macro call, a block.
struct Frame {
  Frame* parent = nullptr;
  std::vector<Value> slots;
};

/// A frame that macros may still use when it is left, and which therefore lives as long as the interpreter.
struct CapturedFrame {
  CapturedFrame(Meter& meter, size_t slots) : held(&meter, sizeof(CapturedFrame) + slots * sizeof(Value)) {}

  Frame frame;
  Held held;
};

/// One rendering. Errors do not carry the line yet: see error_line.
class Interpreter {
 public:
  using Variables = std::unordered_map<std::string, Value>;

  Interpreter(Runtime& runtime, const Variables& variables) : runtime_(runtime), variables_(variables) {}

  Result<std::string> Run(const Program& program);
  /// The line of the innermost statement or expression that failed.
  [[nodiscard]] int error_line() const { return error_line_; }

  /// Calls a macro, or a caller, that was defined in `closure`.
  Result<Value> CallMacro(const MacroDefinition& macro, Frame* closure, Arguments arguments);
  /// Runs a loop over `iterable`; `depth0` counts the recursive calls around it.
  enum class Flow : uint8_t { kNormal, kBreak, kContinue };
  Result<Flow> RunLoop(const ForStmt& loop, Frame* outer, const Value& iterable, int64_t depth0, std::string& out);

 private:
  friend class FilteredIterator;

  // ---- Statements (interpreter_statements.cc) ----
  Result<Flow> ExecBody(const Body& body, Frame& frame, std::string& out);
  Result<Flow> ExecOne(const Stmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const TextStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const PrintStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const IfStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const ForStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const SetStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const SetBlockStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const MacroStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const CallBlockStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const FilterBlockStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const WithStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const ScopeStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const BreakStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> Exec(const ContinueStmt& stmt, Frame& frame, std::string& out);
  Result<Flow> RunIterations(const ForStmt& loop, Frame& frame, Iterator& iterator, std::string& out, bool& completed);
  Status Assign(const Expr& target, Value value, Frame& frame);
  Status AssignTuple(const SequenceExpr& target, const Value& value, Frame& frame);
  Status CheckNamespaces(const Expr& target, Frame& frame);

  // ---- Frames (interpreter.cc) ----
  /// A frame for `scope` inside `parent`: `local`, or one that lives as long as the rendering if macros may capture it.
  Frame& NewFrame(const Scope& scope, Frame* parent, Frame& local);
  /// Gives every slot what it holds on entry.
  void EnterFrame(const Scope& scope, Frame& frame);
  static Value& SlotAt(Frame& frame, SlotRef ref);
  Value Lookup(std::string_view name) const;
  Status Write(std::string_view text, std::string& out);
  Status BindParameters(const MacroDefinition& macro, Frame& frame, Arguments& arguments);
  /// Notes where an error came from, unless a place further inside did.
  void NoteErrorLine(int line) { error_line_ = error_line_ == 0 ? line : error_line_; }

  // ---- Expressions (interpreter_expressions.cc) ----
  Result<Value> Eval(const Expr& expr, Frame& frame);
  Result<bool> EvalTruth(const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const ConstantExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const NameExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const NamespaceTarget& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const SequenceExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const DictExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const UnaryExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const BinaryExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const LogicExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const ConcatExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const CompareExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const ConditionalExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const AttributeExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const ItemExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const SliceExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const CallExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalNode(const ApplyExpr& node, const Expr& expr, Frame& frame);
  Result<Value> EvalCall(const CallExpr& node, Frame& frame, const Value* caller);
  Result<Arguments> EvalArguments(const CallArguments& arguments, Frame& frame);
  Status SpreadKeywords(const Value& mapping, Arguments& result);

  Runtime& runtime_;
  const Variables& variables_;
  int error_line_ = 0;
  Value block_text_;  ///< what a filter without an object is applied to
  std::vector<std::unique_ptr<CapturedFrame>> captured_;
};

}  // namespace kvasir::jinja
