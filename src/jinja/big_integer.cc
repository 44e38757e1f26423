#include "jinja/big_integer.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "base/check.h"
#include "jinja/runtime.h"

namespace kvasir::jinja {
namespace {

// The digits of a finite number without a fraction, and of any integer: then texts can be compared.
std::string DigitsOf(const Value& value) {
  if (const auto* big = value.As<BigInteger>()) return big->digits();
  if (value.is_integral()) return std::to_string(value.integer());
  return fmt::format("{:.0f}", value.number());
}

int CompareDigits(std::string_view a, std::string_view b) {
  const bool negative = a.starts_with('-');
  if (negative != b.starts_with('-')) return negative ? -1 : 1;
  // Without leading zeros the longer text is further from 0.
  const int further = a.size() != b.size() ? (a.size() < b.size() ? -1 : 1) : a.compare(b) < 0 ? -1 : a != b ? 1 : 0;
  return negative ? -further : further;
}

}  // namespace

Status BigInteger::Repr(Runtime& runtime, std::string& out) {
  KV_TRY(runtime.Step(1 + digits_.size() / 64));
  out += digits_;
  return {};
}

double BigInteger::number() const {
  return std::strtod(digits_.c_str(), nullptr);
}

int CompareBigIntegers(const Value& left, const Value& right) {
  for (const Value* side : {&left, &right}) {
    if (!side->is_float() || std::isfinite(side->number())) continue;
    if (std::isnan(side->number())) return 2;
    const int infinite = side->number() < 0 ? -1 : 1;
    return side == &left ? infinite : -infinite;
  }
  // A fraction does not matter: it leaves a double on the same side of every integer beyond 64 bits.
  return CompareDigits(DigitsOf(left), DigitsOf(right));
}

std::unexpected<Error> RaiseNotComputed(const Value& left, const Value& right) {
  constexpr size_t kShown = 40;
  const auto* big = left.As<BigInteger>();
  if (big == nullptr) big = right.As<BigInteger>();
  const std::string& digits = big->digits();
  return Fail(ErrorCode::kUnsupported,
              fmt::format("the integer {}{} is beyond 64 bits: a template can print and compare it, but not calculate "
                          "with it",
                          digits.substr(0, kShown), digits.size() > kShown ? "..." : ""));
}

}  // namespace kvasir::jinja
