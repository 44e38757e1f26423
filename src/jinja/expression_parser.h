// The expression half of the parser.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/token_stream.h"

namespace kvasir::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  /// A whole expression, or one without `a if b else c` at its top.
  Result<ExprPtr> Expression(bool with_conditional = true);
  /// Expressions with commas between them make a tuple; `end_name` is a keyword that ends it.
  Result<ExprPtr> Tuple(bool with_conditional = true, std::string_view end_name = {}, bool in_parentheses = false);
  /// What may stand left of an assignment.
  Result<ExprPtr> Target(bool with_namespace, std::string_view end_name = {});
  /// A name alone.
  Result<std::string> TargetName();
  /// `|filter|filter(...)` applied to `object`, which is null for a block's text. With `inside` the first | is absent.
  Result<ExprPtr> Filters(ExprPtr object, bool inside);

 private:
  Result<ExprPtr> Conditional();
  Result<ExprPtr> Or();
  Result<ExprPtr> And();
  Result<ExprPtr> Not();
  Result<ExprPtr> Comparison();
  Result<ExprPtr> Sum();
  Result<ExprPtr> Concatenation();
  Result<ExprPtr> Product();
  Result<ExprPtr> Power();
  Result<ExprPtr> Unary(bool with_filter);
  Result<ExprPtr> Primary();
  Result<ExprPtr> NamePrimary();
  Result<ExprPtr> ListLiteral();
  Result<ExprPtr> DictLiteral();
  Result<ExprPtr> Postfix(ExprPtr node);
  Result<ExprPtr> FilterExpressions(ExprPtr node);
  Result<ExprPtr> Subscript(ExprPtr node);
  Result<ExprPtr> SliceOrItem(ExprPtr node, int line);
  Result<ExprPtr> CallOn(ExprPtr node);
  Result<ExprPtr> Test(ExprPtr node);
  Result<std::string> DottedName();
  Result<CallArguments> Arguments();
  Result<ExprPtr> TargetItem(bool with_namespace);
  std::optional<CompareOp> TakeComparison();
  bool AtTupleEnd(std::string_view end_name) const;

  /// Finishes a node: its height is that of the highest child plus one. Errors: too high.
  template <typename Node>
  Result<ExprPtr> Make(int line, Node node);

  TokenStream& stream_;
  int nesting_ = 0;
};

}  // namespace kvasir::jinja
