// Integers beyond 64 bits, as a request may hold them: Python's integers never end.
//
// A template prints such a number (an account, a hash, a bound of a schema), compares it or asks for its type; no
// published one calculates with it. So its digits are kept as text, and arithmetic is an error that says so.
#pragma once

#include <string>
#include <string_view>

#include "jinja/value.h"

namespace kvasir::jinja {

class BigInteger final : public Object {
 public:
  /// `digits`: a sign only where negative, no leading zero, and a value that int64_t does not hold.
  BigInteger(std::string digits, Meter* meter)
      : digits_(std::move(digits)), held_(meter, sizeof(BigInteger) + digits_.size()) {}

  std::string_view type_name() const override { return "int"; }
  Status Repr(Runtime& runtime, std::string& out) override;

  [[nodiscard]] const std::string& digits() const { return digits_; }
  /// The nearest double.
  [[nodiscard]] double number() const;

 private:
  std::string digits_;
  Held held_;
};

[[nodiscard]] inline bool IsBigInteger(const Value& value) {
  return value.As<BigInteger>() != nullptr;
}

/// The order of two numbers of which one at least is a BigInteger, exactly as Python compares them: -1, 0, 1; 2 when
/// one is NaN.
[[nodiscard]] int CompareBigIntegers(const Value& left, const Value& right);

/// What calculating with the BigInteger among `left` and `right` raises.
[[nodiscard]] std::unexpected<Error> RaiseNotComputed(const Value& left, const Value& right);

}  // namespace kvasir::jinja
