// Raise: what Python would raise, as an error value.
#pragma once

#include <fmt/format.h>

#include <utility>

#include "jinja/value.h"
#include "kvasir/result.h"

namespace kvasir::jinja {

/// A template's own fault: `return Raise("'{}' is not iterable", name);`
template <typename... Args>
[[nodiscard]] std::unexpected<Error> Raise(fmt::format_string<Args...> format, Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

/// What using the undefined `value` raises.
[[nodiscard]] inline std::unexpected<Error> RaiseUndefined(const Value& value) {
  return Raise("{}", value.undefined_message());
}

/// Integers end at 64 bits here, where Python's never end.
[[nodiscard]] inline std::unexpected<Error> RaiseTooLarge() {
  return Fail(ErrorCode::kUnsupported, "an integer beyond 64 bits is not supported in templates");
}

}  // namespace kvasir::jinja
