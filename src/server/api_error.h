// An error as a client sees it: a status, and OpenAI's error object.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "kvasir/result.h"
#include "server/json.h"

namespace kvasir::server {

struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::optional<std::string> param;  ///< The member of the request, as a path: "messages[2].content".
  std::optional<std::string> code;   ///< For programs: "context_length_exceeded".
  int retry_after_seconds = 0;       ///< 0: a repeated request would fail in the same way.
  std::string allow;                 ///< Of a 405: the methods that exist.
  Json details;                      ///< Further members of the error object, or null.
};

template <typename T>
using ApiResult = std::expected<T, ApiError>;
using ApiStatus = ApiResult<void>;

/// 400, naming the member of the request: the message is `param` followed by `message`.
[[nodiscard]] std::unexpected<ApiError> BadField(std::string param, std::string_view message);
/// Any other error.
[[nodiscard]] std::unexpected<ApiError> Refuse(int status, std::string message, std::string code = "");

/// 429 for a queue that has no place for this request.
[[nodiscard]] ApiError QueueFull(std::string message, int retry_after_seconds);

/// What an error of the engine means to a client: what a request asked for is 400, an exhausted budget 429, a fault of
/// ours 500.
[[nodiscard]] ApiError FromEngine(const Error& error);

/// In whose words errors are written.
enum class ErrorStyle {
  kOpenAi,     ///< {"error": {"message", "type", "param", "code", ...}}
  kAnthropic,  ///< {"type": "error", "error": {"type", "message"}}
};
[[nodiscard]] Json ErrorJson(const ApiError& error, ErrorStyle style = ErrorStyle::kOpenAi);

}  // namespace kvasir::server
