// + - * / // % ** and the signs, with Python's coercions and rounding.

#include <cmath>

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/html.h"
#include "jinja/operators.h"
#include "jinja/python_format.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

std::string_view Symbol(ArithmeticOp op) {
  switch (op) {
    case ArithmeticOp::kAdd: return "+";
    case ArithmeticOp::kSubtract: return "-";
    case ArithmeticOp::kMultiply: return "*";
    case ArithmeticOp::kDivide: return "/";
    case ArithmeticOp::kFloorDivide: return "//";
    case ArithmeticOp::kModulo: return "%";
    case ArithmeticOp::kPower: return "** or pow()";
  }
  return "?";
}

std::unexpected<Error> Unsupported(ArithmeticOp op, const Value& left, const Value& right) {
  return Raise("unsupported operand type(s) for {}: '{}' and '{}'", Symbol(op), left.type_name(), right.type_name());
}

struct FloatDivision {
  double quotient;
  double remainder;
};

/// The remainder has the divisor's sign, and the quotient is rounded down to match it.
FloatDivision DivideDown(double left, double right) {
  double remainder = std::fmod(left, right);
  double quotient = (left - remainder) / right;
  if (remainder != 0) {
    if ((right < 0) != (remainder < 0)) {
      remainder += right;
      quotient -= 1;
    }
  } else {
    remainder = std::copysign(0.0, right);
  }
  if (quotient == 0) return {std::copysign(0.0, left / right), remainder};
  double floor = std::floor(quotient);
  if (quotient - floor > 0.5) floor += 1;
  return {floor, remainder};
}

Result<Value> IntegerPower(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return Raise("0.0 cannot be raised to a negative power");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  bool overflow = false;
  while (exponent > 0) {
    if (exponent & 1) {
      if (overflow || __builtin_mul_overflow(result, base, &result)) return RaiseTooLarge();
    }
    exponent >>= 1;
    // A square that overflows only matters when it is used.
    if (__builtin_mul_overflow(base, base, &base)) overflow = true;
  }
  return Value::Int(result);
}

Result<Value> CalculateIntegers(ArithmeticOp op, int64_t left, int64_t right) {
  int64_t result = 0;
  switch (op) {
    case ArithmeticOp::kAdd:
      if (__builtin_add_overflow(left, right, &result)) return RaiseTooLarge();
      return Value::Int(result);
    case ArithmeticOp::kSubtract:
      if (__builtin_sub_overflow(left, right, &result)) return RaiseTooLarge();
      return Value::Int(result);
    case ArithmeticOp::kMultiply:
      if (__builtin_mul_overflow(left, right, &result)) return RaiseTooLarge();
      return Value::Int(result);
    case ArithmeticOp::kDivide:
      if (right == 0) return Raise("division by zero");
      return Value::Float(static_cast<double>(static_cast<long double>(left) / static_cast<long double>(right)));
    case ArithmeticOp::kFloorDivide:
      if (right == 0) return Raise("integer division or modulo by zero");
      if (right == -1) return CalculateIntegers(ArithmeticOp::kSubtract, 0, left);
      return Value::Int(left / right - (left % right != 0 && (left < 0) != (right < 0) ? 1 : 0));
    case ArithmeticOp::kModulo:
      if (right == 0) return Raise("integer modulo by zero");
      if (right == -1) return Value::Int(0);
      result = left % right;
      return Value::Int(result != 0 && (result < 0) != (right < 0) ? result + right : result);
    case ArithmeticOp::kPower: return IntegerPower(left, right);
  }
  return Value::None();
}

Result<Value> CalculateFloats(ArithmeticOp op, double left, double right) {
  switch (op) {
    case ArithmeticOp::kAdd: return Value::Float(left + right);
    case ArithmeticOp::kSubtract: return Value::Float(left - right);
    case ArithmeticOp::kMultiply: return Value::Float(left * right);
    case ArithmeticOp::kDivide:
      if (right == 0) return Raise("float division by zero");
      return Value::Float(left / right);
    case ArithmeticOp::kFloorDivide:
      if (right == 0) return Raise("float floor division by zero");
      return Value::Float(DivideDown(left, right).quotient);
    case ArithmeticOp::kModulo:
      if (right == 0) return Raise("float modulo");
      return Value::Float(DivideDown(left, right).remainder);
    case ArithmeticOp::kPower: {
      if (left == 0 && right < 0) return Raise("0.0 cannot be raised to a negative power");
      if (left < 0 && std::isfinite(left) && std::isfinite(right) && right != std::floor(right)) {
        return Fail(ErrorCode::kUnsupported, "complex numbers are not supported in templates");
      }
      const double result = std::pow(left, right);
      if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) {
        return Raise("(34, 'Numerical result out of range')");
      }
      return Value::Float(result);
    }
  }
  return Value::None();
}

Result<Value> AddStrings(Runtime& runtime, const Value& left, const Value& right) {
  KV_TRY(runtime.Reserve(left.text().size() + right.text().size()));
  if (!left.is_markup() && !right.is_markup()) return runtime.String(left.text() + right.text());
  const auto escaped = [](const Value& v) { return v.is_markup() ? v.text() : EscapeHtml(v.text()); };
  return runtime.String(escaped(left) + escaped(right), true);
}

Result<Value> AddSequences(Runtime& runtime, const Value& left, const Value& right) {
  KV_TRY(runtime.Reserve(left.items().size() + right.items().size(), sizeof(Value)));
  std::vector<Value> items;
  items.reserve(left.items().size() + right.items().size());
  items.insert(items.end(), left.items().begin(), left.items().end());
  items.insert(items.end(), right.items().begin(), right.items().end());
  return left.is_list() ? runtime.MakeList(std::move(items)) : runtime.MakeTuple(std::move(items));
}

Result<Value> Add(Runtime& runtime, const Value& left, const Value& right) {
  if (left.is_string() && right.is_string()) return AddStrings(runtime, left, right);
  if (left.is_sequence() && left.kind() == right.kind()) return AddSequences(runtime, left, right);
  if (left.is_string() && !left.is_markup()) {
    return Raise("can only concatenate str (not \"{}\") to str", right.type_name());
  }
  if (left.is_sequence()) {
    return Raise("can only concatenate {0} (not \"{1}\") to {0}", left.type_name(), right.type_name());
  }
  return Unsupported(ArithmeticOp::kAdd, left, right);
}

Result<Value> Repeat(Runtime& runtime, const Value& sequence, const Value& times) {
  if (!times.is_integral()) {
    return Raise("can't multiply sequence by non-int of type '{}'", times.type_name());
  }
  const size_t count = times.integer() > 0 ? static_cast<size_t>(times.integer()) : 0;
  if (sequence.is_string()) {
    const std::string& text = sequence.text();
    KV_TRY(runtime.Reserve(count, text.size()));
    std::string result;
    if (!text.empty()) {
      result.reserve(count * text.size());
      for (size_t i = 0; i < count; ++i) result += text;
    }
    return runtime.String(std::move(result), sequence.is_markup());
  }
  const std::vector<Value>& items = sequence.items();
  KV_TRY(runtime.Reserve(count, items.size() * sizeof(Value)));
  std::vector<Value> result;
  if (!items.empty()) {
    result.reserve(count * items.size());
    for (size_t i = 0; i < count; ++i) result.insert(result.end(), items.begin(), items.end());
  }
  return sequence.is_list() ? runtime.MakeList(std::move(result)) : runtime.MakeTuple(std::move(result));
}

}  // namespace

Result<Value> Calculate(Runtime& runtime, ArithmeticOp op, const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) return CalculateIntegers(op, left.integer(), right.integer());
  if (left.is_number() && right.is_number()) return CalculateFloats(op, left.number(), right.number());
  if (op == ArithmeticOp::kModulo && left.is_string()) return FormatPercent(runtime, left, right);
  if (left.is_undefined()) return RaiseUndefined(left);
  if (right.is_undefined()) return RaiseUndefined(right);
  if (IsBigInteger(left) || IsBigInteger(right)) return RaiseNotComputed(left, right);
  if (op == ArithmeticOp::kAdd) return Add(runtime, left, right);
  if (op == ArithmeticOp::kMultiply) {
    if (left.is_string() || left.is_sequence()) return Repeat(runtime, left, right);
    if (right.is_string() || right.is_sequence()) return Repeat(runtime, right, left);
  }
  return Unsupported(op, left, right);
}

Result<Value> Negate(const Value& value) {
  if (value.is_integral()) return CalculateIntegers(ArithmeticOp::kSubtract, 0, value.integer());
  if (value.is_float()) return Value::Float(-value.number());
  if (value.is_undefined()) return RaiseUndefined(value);
  if (IsBigInteger(value)) return RaiseNotComputed(value, value);
  return Raise("bad operand type for unary -: '{}'", value.type_name());
}

Result<Value> Posit(const Value& value) {
  if (value.is_integral()) return Value::Int(value.integer());
  if (value.is_float()) return value;
  if (value.is_undefined()) return RaiseUndefined(value);
  if (IsBigInteger(value)) return value;
  return Raise("bad operand type for unary +: '{}'", value.type_name());
}

}  // namespace kvasir::jinja
