// What may follow `is`.

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/builtins.h"
#include "jinja/iteration.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/string_predicates.h"

namespace kvasir::jinja {

namespace {

Result<Value> IsDefined(Call& call) {
  return Value::Bool(!call.self.is_undefined());
}
Result<Value> IsUndefined(Call& call) {
  return Value::Bool(call.self.is_undefined());
}
Result<Value> IsNone(Call& call) {
  return Value::Bool(call.self.is_none());
}
Result<Value> IsBoolean(Call& call) {
  return Value::Bool(call.self.is_bool());
}
Result<Value> IsTrue(Call& call) {
  return Value::Bool(call.self.is_bool() && call.self.boolean());
}
Result<Value> IsFalse(Call& call) {
  return Value::Bool(call.self.is_bool() && !call.self.boolean());
}
Result<Value> IsInteger(Call& call) {
  return Value::Bool(call.self.kind() == Kind::kInt || IsBigInteger(call.self));
}
Result<Value> IsFloatNumber(Call& call) {
  return Value::Bool(call.self.is_float());
}
Result<Value> IsNumber(Call& call) {
  return Value::Bool(call.self.is_number() || IsBigInteger(call.self));
}
Result<Value> IsString(Call& call) {
  return Value::Bool(call.self.is_string());
}
Result<Value> IsMapping(Call& call) {
  return Value::Bool(call.self.is_dict());
}
Result<Value> IsIterableTest(Call& call) {
  return Value::Bool(IsIterable(call.self));
}
Result<Value> IsEscaped(Call& call) {
  return Value::Bool(call.self.is_markup());
}

/// Something with a length and items: dicts count, ranges too, sets and views do not.
Result<Value> IsSequence(Call& call) {
  const Value& value = call.self;
  return Value::Bool(value.is_string() || value.is_sequence() || value.is_dict() || value.is_undefined() ||
                     value.type_name() == "range");
}

Result<Value> IsCallable(Call& call) {
  const Value& value = call.self;
  return Value::Bool(value.is_undefined() || (value.kind() == Kind::kObject && value.object()->callable()));
}

Result<Value> Remainder(Call& call, const Value& divisor, int64_t expected) {
  KV_ASSIGN(const Value remainder, Calculate(call.runtime, ArithmeticOp::kModulo, call.self, divisor));
  KV_ASSIGN(const bool equal, Equal(call.runtime, remainder, Value::Int(expected)));
  return Value::Bool(equal);
}

Result<Value> IsOdd(Call& call) {
  return Remainder(call, Value::Int(2), 1);
}
Result<Value> IsEven(Call& call) {
  return Remainder(call, Value::Int(2), 0);
}
Result<Value> IsDivisibleBy(Call& call) {
  return Remainder(call, *call[0], 0);
}

Result<Value> IsLowerText(Call& call) {
  KV_ASSIGN(const std::string text, ToStr(call.runtime, call.self));
  return Value::Bool(IsLowerCase(text));
}

Result<Value> IsUpperText(Call& call) {
  KV_ASSIGN(const std::string text, ToStr(call.runtime, call.self));
  return Value::Bool(IsUpperCase(text));
}

Result<Value> IsSameAs(Call& call) {
  return Value::Bool(Identical(call.self, *call[0]));
}

Result<Value> IsIn(Call& call) {
  KV_ASSIGN(const bool contains, Contains(call.runtime, *call[0], call.self));
  return Value::Bool(contains);
}

/// Whether the value is a name in `table`. Errors: not hashable, as it is looked up in a dict.
Result<Value> IsNameIn(Call& call, const BuiltinTable& table) {
  KV_TRY(Hash(call.runtime, call.self));
  return Value::Bool(call.self.is_string() && table.Find(call.self.text()) != nullptr);
}

Result<Value> IsFilter(Call& call) {
  return IsNameIn(call, Filters());
}
Result<Value> IsTest(Call& call) {
  return IsNameIn(call, Tests());
}

template <CompareOp op>
Result<Value> Compares(Call& call) {
  KV_ASSIGN(const bool holds, Compare(call.runtime, op, call.self, *call[0]));
  return Value::Bool(holds);
}

constexpr Builtin kTests[] = {
    {"defined", "", IsDefined},
    {"undefined", "", IsUndefined},
    {"none", "", IsNone},
    {"boolean", "", IsBoolean},
    {"true", "", IsTrue},
    {"false", "", IsFalse},
    {"integer", "", IsInteger},
    {"float", "", IsFloatNumber},
    {"number", "", IsNumber},
    {"string", "", IsString},
    {"mapping", "", IsMapping},
    {"sequence", "", IsSequence},
    {"iterable", "", IsIterableTest},
    {"callable", "", IsCallable},
    {"escaped", "", IsEscaped},
    {"odd", "", IsOdd},
    {"even", "", IsEven},
    {"divisibleby", "num", IsDivisibleBy},
    {"lower", "", IsLowerText},
    {"upper", "", IsUpperText},
    {"sameas", "other", IsSameAs},
    {"in", "seq", IsIn},
    {"filter", "", IsFilter},
    {"test", "", IsTest},
    {"==", "/other", Compares<CompareOp::kEqual>},
    {"eq", "/other", Compares<CompareOp::kEqual>},
    {"equalto", "/other", Compares<CompareOp::kEqual>},
    {"!=", "/other", Compares<CompareOp::kNotEqual>},
    {"ne", "/other", Compares<CompareOp::kNotEqual>},
    {">", "/other", Compares<CompareOp::kGreater>},
    {"gt", "/other", Compares<CompareOp::kGreater>},
    {"greaterthan", "/other", Compares<CompareOp::kGreater>},
    {">=", "/other", Compares<CompareOp::kGreaterEqual>},
    {"ge", "/other", Compares<CompareOp::kGreaterEqual>},
    {"<", "/other", Compares<CompareOp::kLess>},
    {"lt", "/other", Compares<CompareOp::kLess>},
    {"lessthan", "/other", Compares<CompareOp::kLess>},
    {"<=", "/other", Compares<CompareOp::kLessEqual>},
    {"le", "/other", Compares<CompareOp::kLessEqual>},
};

}  // namespace

const BuiltinTable& Tests() {
  static const BuiltinTable table{kTests};
  return table;
}

}  // namespace kvasir::jinja
