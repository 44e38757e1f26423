// Filters that make or change numbers.

#include <cmath>

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/builtins.h"
#include "jinja/numbers.h"
#include "jinja/operators.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

Result<Value> Abs(Call& call) {
  if (call.self.is_integral()) return call.self.integer() < 0 ? Negate(call.self) : Posit(call.self);
  if (call.self.is_float()) return Value::Float(std::fabs(call.self.number()));
  if (IsBigInteger(call.self)) return RaiseNotComputed(call.self, call.self);
  return Raise("bad operand type for abs(): '{}'", call.self.type_name());
}

/// What int(float(value)) makes of a string, or nothing.
Result<std::optional<int64_t>> IntOfFloatText(std::string_view text) {
  const std::optional<double> number = ParseFloat(text);
  if (!number || !std::isfinite(*number)) return std::nullopt;
  return TruncateToInt(*number);
}

Result<Value> ToInt(Call& call) {
  Value fallback = call[0] == nullptr ? Value::Int(0) : *call[0];
  const Value& value = call.self;
  if (value.is_undefined()) return RaiseUndefined(value);
  if (value.is_integral()) return Value::Int(value.integer());
  if (IsBigInteger(value)) return value;
  if (value.is_float()) {
    if (std::isnan(value.number())) return fallback;
    KV_ASSIGN(const int64_t integer, TruncateToInt(value.number()));
    return Value::Int(integer);
  }
  if (!value.is_string()) return fallback;
  // A base of another type is a failed conversion like any other.
  const int64_t base = call[1] == nullptr ? 10 : call[1]->is_integral() ? call[1]->integer() : -1;
  std::optional<int64_t> integer;
  if (base == 0 || (base >= 2 && base <= 36)) {
    KV_ASSIGN(integer, ParseInt(value.text(), static_cast<int>(base)));
  }
  if (!integer) {
    KV_ASSIGN(integer, IntOfFloatText(value.text()));
  }
  return integer ? Value::Int(*integer) : fallback;
}

Result<Value> ToFloat(Call& call) {
  const Value& value = call.self;
  if (value.is_undefined()) return RaiseUndefined(value);
  if (value.is_number()) return Value::Float(value.number());
  if (const auto* big = value.As<BigInteger>()) return Value::Float(big->number());
  if (value.is_string()) {
    if (const auto number = ParseFloat(value.text())) return Value::Float(*number);
  }
  return call[0] == nullptr ? Value::Float(0) : *call[0];
}

/// round(integer, precision): only a negative precision does anything, and ties go to the even neighbour.
Result<Value> RoundInteger(int64_t value, int64_t precision) {
  if (precision >= 0) return Value::Int(value);
  if (precision < -18) return Value::Int(0);
  int64_t unit = 1;
  for (int64_t i = precision; i < 0; ++i) unit *= 10;
  int64_t rest = value % unit;
  if (rest < 0) rest += unit;
  const __int128 down = static_cast<__int128>(value) - rest;
  const bool up = rest * 2 > unit || (rest * 2 == unit && (down / unit) % 2 != 0);
  const __int128 rounded = up ? down + unit : down;
  if (rounded > INT64_MAX || rounded < INT64_MIN) return RaiseTooLarge();
  return Value::Int(static_cast<int64_t>(rounded));
}

Result<Value> Round(Call& call) {
  KV_ASSIGN(const int64_t precision, call.Int(0, 0));
  KV_ASSIGN(const std::string_view method, call.Text(1, "common"));
  const Value& value = call.self;
  if (method != "common" && method != "ceil" && method != "floor") return Raise("method must be common, ceil or floor");
  if (value.is_undefined()) return RaiseUndefined(value);
  if (IsBigInteger(value)) return RaiseNotComputed(value, value);
  if (!value.is_number()) return Raise("type {} doesn't define __round__ method", value.type_name());
  if (method == "common") {
    if (value.is_integral()) return RoundInteger(value.integer(), precision);
    return Value::Float(RoundTo(value.number(), precision));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.number() * scale;
  if (!std::isfinite(scaled)) return Raise("cannot convert float infinity or NaN to integer");
  return Value::Float((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Result<Value> FileSize(Call& call) {
  KV_ASSIGN(const bool binary, call.Flag(0, false));
  double bytes = 0;
  if (IsBigInteger(call.self)) return RaiseNotComputed(call.self, call.self);
  if (call.self.is_number()) {
    bytes = call.self.number();
  } else {
    const auto parsed = call.self.is_string() ? ParseFloat(call.self.text()) : std::nullopt;
    if (!parsed) return Raise("could not convert to float for filesizeformat: {}", call.self.type_name());
    bytes = *parsed;
  }
  static constexpr std::string_view kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  static constexpr std::string_view kBinary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  const double base = binary ? 1024 : 1000;
  if (bytes == 1) return call.runtime.String("1 Byte");
  if (bytes < base) {
    KV_ASSIGN(const int64_t whole, TruncateToInt(bytes));
    return call.runtime.String(fmt::format("{} Bytes", whole));
  }
  size_t prefix = 0;
  double unit = base * base;
  while (prefix < 7 && !(bytes < unit)) {
    ++prefix;
    unit *= base;
  }
  return call.runtime.String(
      fmt::format("{:.1f} {}", base * bytes / unit, binary ? kBinary[prefix] : kDecimal[prefix]));
}

constexpr Builtin kNumberFilters[] = {
    {"abs", "", Abs},
    {"int", "default? base?", ToInt},
    {"float", "default?", ToFloat},
    {"round", "precision? method?", Round},
    {"filesizeformat", "binary?", FileSize},
};

}  // namespace

std::span<const Builtin> NumberFilters() {
  return kNumberFilters;
}

}  // namespace kvasir::jinja
