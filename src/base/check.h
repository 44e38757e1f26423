// KV_CHECK for our own broken invariants, KV_TRY and KV_ASSIGN for passing errors on.
#pragma once

#include "kvasir/result.h"

namespace kvasir::base {

/// Prints the place and the condition to stderr and aborts. Never reachable from user input.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace kvasir::base

/// Stops the process when an invariant of ours does not hold. Stays on in release builds.
#define KV_CHECK(condition)                                        \
  do {                                                             \
    if (!(condition)) [[unlikely]] {                               \
      ::kvasir::base::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                              \
  } while (false)

#define KV_CONCAT_INNER(a, b) a##b
#define KV_CONCAT(a, b) KV_CONCAT_INNER(a, b)

/// Returns the error of `expression` (a Status or Result) from the enclosing function, if it has one.
#define KV_TRY(expression)                                        \
  do {                                                            \
    if (auto kv_status = (expression); !kv_status) [[unlikely]] { \
      return std::unexpected(std::move(kv_status).error());       \
    }                                                             \
  } while (false)

/// `KV_ASSIGN(auto x, F());` declares x from the Result F() returns, or returns its error.
#define KV_ASSIGN(lhs, expression) KV_ASSIGN_INNER(KV_CONCAT(kv_result_, __LINE__), lhs, expression)
#define KV_ASSIGN_INNER(temporary, lhs, expression)       \
  auto temporary = (expression);                          \
  if (!temporary) [[unlikely]] {                          \
    return std::unexpected(std::move(temporary).error()); \
  }                                                       \
  lhs = std::move(temporary).value()
