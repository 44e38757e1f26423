// Python's operators on Values.
#pragma once

#include <cstddef>
#include <string_view>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

enum class ArithmeticOp : uint8_t { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class CompareOp : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

[[nodiscard]] Result<Value> Calculate(Runtime& runtime, ArithmeticOp op, const Value& left, const Value& right);
[[nodiscard]] Result<Value> Negate(const Value& value);
[[nodiscard]] Result<Value> Posit(const Value& value);

[[nodiscard]] Result<bool> Truth(Runtime& runtime, const Value& value);
[[nodiscard]] Result<bool> Compare(Runtime& runtime, CompareOp op, const Value& left, const Value& right);
[[nodiscard]] Result<bool> Equal(Runtime& runtime, const Value& left, const Value& right);
/// `left < right`
[[nodiscard]] Result<bool> Less(Runtime& runtime, const Value& left, const Value& right);
/// `item in container`
[[nodiscard]] Result<bool> Contains(Runtime& runtime, const Value& container, const Value& item);
/// `left is right`, as far as a template can tell.
[[nodiscard]] bool Identical(const Value& left, const Value& right);

/// Errors: "unhashable type: 'list'".
[[nodiscard]] Result<size_t> Hash(Runtime& runtime, const Value& value);
[[nodiscard]] size_t HashText(std::string_view text);

/// len(value). Errors: the type has none.
[[nodiscard]] Result<size_t> Length(Runtime& runtime, const Value& value);

}  // namespace kvasir::jinja
