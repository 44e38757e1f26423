#include "grammar/expression.h"

#include <algorithm>
#include <utility>

#include "grammar/dfa.h"

namespace kvasir::grammar {

Expr Make(Expression expression) {
  return std::make_shared<const Expression>(std::move(expression));
}
Expr Nothing() {
  static const Expr nothing = Make({AnyOf{}});
  return nothing;
}
Expr Empty() {
  static const Expr empty = Make({InOrder{}});
  return empty;
}
Expr Bytes(std::vector<SymbolRange> ranges) {
  return Make({OneOf{std::move(ranges)}});
}
Expr Exactly(std::string_view text) {
  return Make({Text{std::string(text)}});
}

Expr InOrderOf(std::vector<Expr> parts) {
  if (std::ranges::any_of(parts, IsNothing)) return Nothing();
  if (parts.size() == 1) return std::move(parts.front());
  return Make({InOrder{std::move(parts)}});
}

Expr AnyOfThese(std::vector<Expr> parts) {
  std::erase_if(parts, IsNothing);
  if (parts.size() == 1) return std::move(parts.front());
  return Make({AnyOf{std::move(parts)}});
}

Expr Times(Expr part, int min, int max) {
  if (max == 0) return Empty();
  if (min == 1 && max == 1) return part;
  if (IsNothing(part)) return min == 0 ? Empty() : Nothing();
  return Make({Repeated{std::move(part), min, max}});
}

Expr Maybe(Expr part) {
  return Times(std::move(part), 0, 1);
}

Expr Of(Dfa dfa) {
  if (dfa.states.empty()) return Nothing();
  return Make({Compiled{std::make_shared<const Dfa>(std::move(dfa))}});
}

bool IsNothing(const Expr& expr) {
  if (const auto* choice = std::get_if<AnyOf>(&expr->value)) return choice->parts.empty();
  if (const auto* bytes = std::get_if<OneOf>(&expr->value)) return bytes->ranges.empty();
  return false;
}

}  // namespace kvasir::grammar
