// Expressions, by recursive descent: one function per level of precedence, loosest first.

#include "jinja/expression_parser.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "jinja/ast_walk.h"
#include "jinja/parser.h"

namespace kvasir::jinja {

namespace {

/// Counts nested calls of the parser while it lives.
class NestingGuard {
 public:
  explicit NestingGuard(int& nesting) : nesting_(nesting) { ++nesting_; }
  ~NestingGuard() { --nesting_; }
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;

  [[nodiscard]] Status Check(int line) const {
    if (nesting_ <= kMaxExpressionHeight) return {};
    return FailAt(line, ErrorCode::kResourceExhausted, "an expression nests too deeply");
  }

 private:
  int& nesting_;
};

Value TextConstant(std::string text) {
  return Value::Of(std::make_shared<Text>(std::move(text), false));
}

bool IsAssignable(const Expr& expr) {
  if (std::holds_alternative<NameExpr>(expr.node) || std::holds_alternative<NamespaceTarget>(expr.node)) return true;
  const auto* tuple = std::get_if<SequenceExpr>(&expr.node);
  return tuple != nullptr && tuple->is_tuple &&
         std::ranges::all_of(tuple->items, [](const ExprPtr& item) { return IsAssignable(*item); });
}

}  // namespace

template <typename Node>
Result<ExprPtr> ExpressionParser::Make(int line, Node node) {
  auto expr = std::make_unique<Expr>(Expr{std::move(node), line, 1});
  ForEachChild(expr->node, [&](ExprPtr& child) { expr->height = std::max(expr->height, child->height + 1); });
  if (expr->height > kMaxExpressionHeight) {
    return FailAt(line, ErrorCode::kResourceExhausted, "an expression nests too deeply");
  }
  return expr;
}

bool ExpressionParser::AtTupleEnd(std::string_view end_name) const {
  return stream_.Is(TokenKind::kVariableEnd) || stream_.Is(TokenKind::kBlockEnd) || stream_.IsOp(")") ||
         (!end_name.empty() && stream_.IsName(end_name));
}

Result<ExprPtr> ExpressionParser::Tuple(bool with_conditional, std::string_view end_name, bool in_parentheses) {
  int line = stream_.line();
  SequenceExpr tuple{{}, true};
  bool has_comma = false;
  while (true) {
    if (!tuple.items.empty()) KV_TRY(stream_.ExpectOp(","));
    if (AtTupleEnd(end_name)) break;
    KV_ASSIGN(ExprPtr item, Expression(with_conditional));
    tuple.items.push_back(std::move(item));
    if (!stream_.IsOp(",")) break;
    has_comma = true;
    line = stream_.line();
  }
  if (!has_comma) {
    if (!tuple.items.empty()) return std::move(tuple.items.front());
    if (!in_parentheses) {
      return FailAt(stream_.line(), fmt::format("Expected an expression, got '{}'", Describe(stream_.current())));
    }
  }
  return Make(line, std::move(tuple));
}

Result<ExprPtr> ExpressionParser::TargetItem(bool with_namespace) {
  if (with_namespace && stream_.Is(TokenKind::kName) && stream_.NextIsOp(".")) {
    const int line = stream_.line();
    NamespaceTarget target{stream_.Take().text, {}, {}};
    stream_.Take();
    target.attribute = stream_.current().text;
    KV_TRY(stream_.Expect(TokenKind::kName));
    return Make(line, std::move(target));
  }
  return Primary();
}

Result<ExprPtr> ExpressionParser::Target(bool with_namespace, std::string_view end_name) {
  const int line = stream_.line();
  SequenceExpr tuple{{}, true};
  bool has_comma = false;
  while (true) {
    if (!tuple.items.empty()) KV_TRY(stream_.ExpectOp(","));
    if (AtTupleEnd(end_name)) break;
    KV_ASSIGN(ExprPtr item, TargetItem(with_namespace));
    tuple.items.push_back(std::move(item));
    if (!stream_.IsOp(",")) break;
    has_comma = true;
  }
  if (tuple.items.empty()) {
    return FailAt(line, fmt::format("Expected an expression, got '{}'", Describe(stream_.current())));
  }
  ExprPtr target;
  if (has_comma) {
    KV_ASSIGN(target, Make(line, std::move(tuple)));
  } else {
    target = std::move(tuple.items.front());
  }
  if (!IsAssignable(*target)) return FailAt(line, "can't assign to this expression");
  return target;
}

Result<std::string> ExpressionParser::TargetName() {
  static constexpr std::array<std::string_view, 6> kConstants = {"true", "false", "none", "True", "False", "None"};
  const int line = stream_.line();
  std::string name = stream_.current().text;
  KV_TRY(stream_.Expect(TokenKind::kName));
  if (std::ranges::find(kConstants, name) != kConstants.end()) return FailAt(line, "can't assign to 'name'");
  return name;
}

Result<ExprPtr> ExpressionParser::Expression(bool with_conditional) {
  const NestingGuard guard(nesting_);
  KV_TRY(guard.Check(stream_.line()));
  return with_conditional ? Conditional() : Or();
}

Result<ExprPtr> ExpressionParser::Conditional() {
  int line = stream_.line();
  KV_ASSIGN(ExprPtr node, Or());
  while (stream_.TakeName("if")) {
    KV_ASSIGN(ExprPtr test, Or());
    ExprPtr otherwise;
    if (stream_.TakeName("else")) {
      KV_ASSIGN(otherwise, Expression());
    }
    KV_ASSIGN(node, Make(line, ConditionalExpr{std::move(test), std::move(node), std::move(otherwise)}));
    line = stream_.line();
  }
  return node;
}

Result<ExprPtr> ExpressionParser::Or() {
  int line = stream_.line();
  KV_ASSIGN(ExprPtr left, And());
  while (stream_.TakeName("or")) {
    KV_ASSIGN(ExprPtr right, And());
    KV_ASSIGN(left, Make(line, LogicExpr{false, std::move(left), std::move(right)}));
    line = stream_.line();
  }
  return left;
}

Result<ExprPtr> ExpressionParser::And() {
  int line = stream_.line();
  KV_ASSIGN(ExprPtr left, Not());
  while (stream_.TakeName("and")) {
    KV_ASSIGN(ExprPtr right, Not());
    KV_ASSIGN(left, Make(line, LogicExpr{true, std::move(left), std::move(right)}));
    line = stream_.line();
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Not() {
  const int line = stream_.line();
  if (!stream_.TakeName("not")) return Comparison();
  const NestingGuard guard(nesting_);
  KV_TRY(guard.Check(line));
  KV_ASSIGN(ExprPtr operand, Not());
  return Make(line, UnaryExpr{UnaryExpr::Op::kNot, std::move(operand)});
}

std::optional<CompareOp> ExpressionParser::TakeComparison() {
  if (stream_.TakeOp("==")) return CompareOp::kEqual;
  if (stream_.TakeOp("!=")) return CompareOp::kNotEqual;
  if (stream_.TakeOp("<")) return CompareOp::kLess;
  if (stream_.TakeOp("<=")) return CompareOp::kLessEqual;
  if (stream_.TakeOp(">")) return CompareOp::kGreater;
  if (stream_.TakeOp(">=")) return CompareOp::kGreaterEqual;
  if (stream_.TakeName("in")) return CompareOp::kIn;
  if (stream_.IsName("not") && stream_.NextIsName("in")) {
    stream_.Take();
    stream_.Take();
    return CompareOp::kNotIn;
  }
  return std::nullopt;
}

Result<ExprPtr> ExpressionParser::Comparison() {
  const int line = stream_.line();
  KV_ASSIGN(ExprPtr first, Sum());
  CompareExpr node{nullptr, {}};
  while (const auto op = TakeComparison()) {
    KV_ASSIGN(ExprPtr operand, Sum());
    node.rest.emplace_back(*op, std::move(operand));
  }
  if (node.rest.empty()) return first;
  node.first = std::move(first);
  return Make(line, std::move(node));
}

Result<ExprPtr> ExpressionParser::Sum() {
  int line = stream_.line();
  KV_ASSIGN(ExprPtr left, Concatenation());
  while (stream_.IsOp("+") || stream_.IsOp("-")) {
    const auto op = stream_.Take().text == "+" ? ArithmeticOp::kAdd : ArithmeticOp::kSubtract;
    KV_ASSIGN(ExprPtr right, Concatenation());
    KV_ASSIGN(left, Make(line, BinaryExpr{op, std::move(left), std::move(right)}));
    line = stream_.line();
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Concatenation() {
  const int line = stream_.line();
  KV_ASSIGN(ExprPtr first, Product());
  if (!stream_.IsOp("~")) return first;
  ConcatExpr node;
  node.parts.push_back(std::move(first));
  while (stream_.TakeOp("~")) {
    KV_ASSIGN(ExprPtr part, Product());
    node.parts.push_back(std::move(part));
  }
  return Make(line, std::move(node));
}

Result<ExprPtr> ExpressionParser::Product() {
  int line = stream_.line();
  KV_ASSIGN(ExprPtr left, Power());
  while (stream_.IsOp("*") || stream_.IsOp("/") || stream_.IsOp("//") || stream_.IsOp("%")) {
    const std::string& symbol = stream_.Take().text;
    const ArithmeticOp op = symbol == "*"    ? ArithmeticOp::kMultiply
                            : symbol == "/"  ? ArithmeticOp::kDivide
                            : symbol == "//" ? ArithmeticOp::kFloorDivide
                                             : ArithmeticOp::kModulo;
    KV_ASSIGN(ExprPtr right, Power());
    KV_ASSIGN(left, Make(line, BinaryExpr{op, std::move(left), std::move(right)}));
    line = stream_.line();
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Power() {
  int line = stream_.line();
  KV_ASSIGN(ExprPtr left, Unary(true));
  while (stream_.TakeOp("**")) {
    KV_ASSIGN(ExprPtr right, Unary(true));
    KV_ASSIGN(left, Make(line, BinaryExpr{ArithmeticOp::kPower, std::move(left), std::move(right)}));
    line = stream_.line();
  }
  return left;
}

Result<ExprPtr> ExpressionParser::Unary(bool with_filter) {
  const NestingGuard guard(nesting_);
  const int line = stream_.line();
  KV_TRY(guard.Check(line));
  ExprPtr node;
  if (stream_.IsOp("-") || stream_.IsOp("+")) {
    const auto op = stream_.Take().text == "-" ? UnaryExpr::Op::kNegate : UnaryExpr::Op::kPosit;
    KV_ASSIGN(ExprPtr operand, Unary(false));
    KV_ASSIGN(node, Make(line, UnaryExpr{op, std::move(operand)}));
  } else {
    KV_ASSIGN(node, Primary());
  }
  KV_ASSIGN(node, Postfix(std::move(node)));
  return with_filter ? FilterExpressions(std::move(node)) : std::move(node);
}

Result<ExprPtr> ExpressionParser::NamePrimary() {
  const Token& token = stream_.Take();
  if (token.text == "true" || token.text == "True") return Make(token.line, ConstantExpr{Value::Bool(true)});
  if (token.text == "false" || token.text == "False") return Make(token.line, ConstantExpr{Value::Bool(false)});
  if (token.text == "none" || token.text == "None") return Make(token.line, ConstantExpr{Value::None()});
  return Make(token.line, NameExpr{token.text, {}});
}

Result<ExprPtr> ExpressionParser::Primary() {
  const Token& token = stream_.current();
  switch (token.kind) {
    case TokenKind::kName: return NamePrimary();
    case TokenKind::kInteger: stream_.Take(); return Make(token.line, ConstantExpr{Value::Int(token.integer)});
    case TokenKind::kFloat: stream_.Take(); return Make(token.line, ConstantExpr{Value::Float(token.number)});
    case TokenKind::kString: {
      std::string text;
      while (stream_.Is(TokenKind::kString)) text += stream_.Take().text;
      return Make(token.line, ConstantExpr{TextConstant(std::move(text))});
    }
    default: break;
  }
  if (stream_.TakeOp("(")) {
    KV_ASSIGN(ExprPtr node, Tuple(true, {}, true));
    KV_TRY(stream_.ExpectOp(")"));
    return node;
  }
  if (stream_.IsOp("[")) return ListLiteral();
  if (stream_.IsOp("{")) return DictLiteral();
  return FailAt(token.line, fmt::format("unexpected '{}'", Describe(token)));
}

Result<ExprPtr> ExpressionParser::ListLiteral() {
  const int line = stream_.Take().line;
  SequenceExpr list;
  while (!stream_.IsOp("]")) {
    if (!list.items.empty()) KV_TRY(stream_.ExpectOp(","));
    if (stream_.IsOp("]")) break;
    KV_ASSIGN(ExprPtr item, Expression());
    list.items.push_back(std::move(item));
  }
  stream_.Take();
  return Make(line, std::move(list));
}

Result<ExprPtr> ExpressionParser::DictLiteral() {
  const int line = stream_.Take().line;
  DictExpr dict;
  while (!stream_.IsOp("}")) {
    if (!dict.entries.empty()) KV_TRY(stream_.ExpectOp(","));
    if (stream_.IsOp("}")) break;
    KV_ASSIGN(ExprPtr key, Expression());
    KV_TRY(stream_.ExpectOp(":"));
    KV_ASSIGN(ExprPtr value, Expression());
    dict.entries.emplace_back(std::move(key), std::move(value));
  }
  stream_.Take();
  return Make(line, std::move(dict));
}

Result<ExprPtr> ExpressionParser::Postfix(ExprPtr node) {
  while (true) {
    if (stream_.IsOp(".") || stream_.IsOp("[")) {
      KV_ASSIGN(node, Subscript(std::move(node)));
    } else if (stream_.IsOp("(")) {
      KV_ASSIGN(node, CallOn(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExprPtr> ExpressionParser::FilterExpressions(ExprPtr node) {
  while (true) {
    if (stream_.IsOp("|")) {
      KV_ASSIGN(node, Filters(std::move(node), false));
    } else if (stream_.IsName("is")) {
      KV_ASSIGN(node, Test(std::move(node)));
    } else if (stream_.IsOp("(")) {
      KV_ASSIGN(node, CallOn(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<ExprPtr> ExpressionParser::Subscript(ExprPtr node) {
  const int line = stream_.line();
  if (stream_.TakeOp(".")) {
    const Token& attribute = stream_.Take();
    if (attribute.kind == TokenKind::kName) return Make(line, AttributeExpr{std::move(node), attribute.text});
    if (attribute.kind != TokenKind::kInteger) return FailAt(attribute.line, "expected name or number");
    KV_ASSIGN(ExprPtr index, Make(attribute.line, ConstantExpr{Value::Int(attribute.integer)}));
    return Make(line, ItemExpr{std::move(node), std::move(index)});
  }
  stream_.Take();
  return SliceOrItem(std::move(node), line);
}

Result<ExprPtr> ExpressionParser::SliceOrItem(ExprPtr node, int line) {
  SequenceExpr keys{{}, true};
  bool is_slice = false;
  SliceExpr slice{nullptr, nullptr, nullptr, nullptr};
  // Each part of start:stop:step may be absent.
  for (size_t part = 0; !stream_.IsOp("]");) {
    if (stream_.TakeOp(":")) {
      if (++part > 2) return stream_.Unexpected("]");
      if (!is_slice && !keys.items.empty()) slice.start = std::move(keys.items.front());
      keys.items.clear();
      is_slice = true;
      continue;
    }
    if (!is_slice && !keys.items.empty()) KV_TRY(stream_.ExpectOp(","));
    if (is_slice && stream_.IsOp(",")) {
      return FailAt(line, ErrorCode::kUnsupported, "several slices in one subscript are not supported");
    }
    KV_ASSIGN(ExprPtr item, Expression());
    if (!is_slice) {
      if (!keys.items.empty() && stream_.IsOp(":")) {
        return FailAt(line, ErrorCode::kUnsupported, "several slices in one subscript are not supported");
      }
      keys.items.push_back(std::move(item));
      continue;
    }
    ExprPtr& bound = part == 1 ? slice.stop : slice.step;
    if (bound) return stream_.Unexpected("]");
    bound = std::move(item);
  }
  KV_TRY(stream_.ExpectOp("]"));
  if (is_slice) {
    slice.object = std::move(node);
    return Make(line, std::move(slice));
  }
  ExprPtr key;
  if (keys.items.size() == 1) {
    key = std::move(keys.items.front());
  } else {
    KV_ASSIGN(key, Make(line, std::move(keys)));
  }
  return Make(line, ItemExpr{std::move(node), std::move(key)});
}

Result<ExprPtr> ExpressionParser::CallOn(ExprPtr node) {
  const int line = stream_.line();
  KV_ASSIGN(CallArguments arguments, Arguments());
  return Make(line, CallExpr{std::move(node), std::move(arguments)});
}

Result<CallArguments> ExpressionParser::Arguments() {
  const int line = stream_.line();
  KV_TRY(stream_.ExpectOp("("));
  CallArguments arguments;
  const auto invalid = [&] { return FailAt(line, "invalid syntax for function call expression"); };
  for (bool first = true; !stream_.IsOp(")"); first = false) {
    if (!first) KV_TRY(stream_.ExpectOp(","));
    if (stream_.IsOp(")")) break;
    if (stream_.TakeOp("*")) {
      if (arguments.star || arguments.double_star) return invalid();
      KV_ASSIGN(arguments.star, Expression());
    } else if (stream_.TakeOp("**")) {
      if (arguments.double_star) return invalid();
      KV_ASSIGN(arguments.double_star, Expression());
    } else if (stream_.Is(TokenKind::kName) && stream_.NextIsOp("=")) {
      if (arguments.double_star) return invalid();
      std::string key = stream_.Take().text;
      stream_.Take();
      const auto same = [&](const auto& entry) { return entry.first == key; };
      if (std::ranges::any_of(arguments.keyword, same)) return FailAt(line, "keyword argument repeated: " + key);
      KV_ASSIGN(ExprPtr value, Expression());
      arguments.keyword.emplace_back(std::move(key), std::move(value));
    } else {
      if (arguments.star || arguments.double_star || !arguments.keyword.empty()) return invalid();
      KV_ASSIGN(ExprPtr value, Expression());
      arguments.positional.push_back(std::move(value));
    }
  }
  KV_TRY(stream_.ExpectOp(")"));
  return arguments;
}

Result<std::string> ExpressionParser::DottedName() {
  std::string name = stream_.current().text;
  KV_TRY(stream_.Expect(TokenKind::kName));
  while (stream_.TakeOp(".")) {
    name += "." + stream_.current().text;
    KV_TRY(stream_.Expect(TokenKind::kName));
  }
  return name;
}

Result<ExprPtr> ExpressionParser::Filters(ExprPtr object, bool inside) {
  while (inside || stream_.TakeOp("|")) {
    inside = false;
    ApplyExpr apply;
    const int line = stream_.line();
    KV_ASSIGN(apply.name, DottedName());
    apply.builtin = jinja::Filters().Find(apply.name);
    if (stream_.IsOp("(")) {
      KV_ASSIGN(apply.arguments, Arguments());
    }
    apply.object = std::move(object);
    KV_ASSIGN(object, Make(line, std::move(apply)));
  }
  return object;
}

Result<ExprPtr> ExpressionParser::Test(ExprPtr node) {
  const int line = stream_.Take().line;
  const bool negated = stream_.TakeName("not");
  ApplyExpr apply;
  apply.is_test = true;
  KV_ASSIGN(apply.name, DottedName());
  apply.builtin = jinja::Tests().Find(apply.name);
  const Token& next = stream_.current();
  const bool is_value = next.kind == TokenKind::kName || next.kind == TokenKind::kString ||
                        next.kind == TokenKind::kInteger || next.kind == TokenKind::kFloat || stream_.IsOp("[") ||
                        stream_.IsOp("{");
  if (stream_.IsOp("(")) {
    KV_ASSIGN(apply.arguments, Arguments());
  } else if (is_value && !stream_.IsName("else") && !stream_.IsName("or") && !stream_.IsName("and")) {
    if (stream_.IsName("is")) return FailAt(next.line, "You cannot chain multiple tests with is");
    KV_ASSIGN(ExprPtr argument, Primary());
    KV_ASSIGN(argument, Postfix(std::move(argument)));
    apply.arguments.positional.push_back(std::move(argument));
  }
  apply.object = std::move(node);
  KV_ASSIGN(ExprPtr test, Make(line, std::move(apply)));
  if (!negated) return test;
  return Make(line, UnaryExpr{UnaryExpr::Op::kNot, std::move(test)});
}

}  // namespace kvasir::jinja
