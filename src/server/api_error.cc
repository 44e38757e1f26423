#include "server/api_error.h"

#include <fmt/format.h>

namespace kvasir::server {
namespace {

std::string TypeOf(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    case 503: return "unavailable_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

std::string AnthropicTypeOf(int status) {
  switch (status) {
    case 413: return "request_too_large";
    case 503: return "overloaded_error";
    default: return status >= 500 ? "api_error" : TypeOf(status);
  }
}

}  // namespace

std::unexpected<ApiError> BadField(std::string param, std::string_view message) {
  ApiError error;
  error.message = fmt::format("{} {}", param, message);
  error.param = std::move(param);
  return std::unexpected(std::move(error));
}

std::unexpected<ApiError> Refuse(int status, std::string message, std::string code) {
  ApiError error;
  error.status = status;
  error.message = std::move(message);
  error.type = TypeOf(status);
  if (!code.empty()) error.code = std::move(code);
  return std::unexpected(std::move(error));
}

ApiError QueueFull(std::string message, int retry_after_seconds) {
  ApiError full = Refuse(429, std::move(message), "queue_full").error();
  full.retry_after_seconds = retry_after_seconds;
  return full;
}

ApiError FromEngine(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported: return Refuse(400, error.message).error();
    case ErrorCode::kNotFound: return Refuse(404, error.message).error();
    case ErrorCode::kResourceExhausted: {
      ApiError full = Refuse(429, error.message, "resource_exhausted").error();
      full.retry_after_seconds = 1;
      return full;
    }
    case ErrorCode::kCancelled: return Refuse(503, error.message, "cancelled").error();
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo: break;
  }
  return Refuse(500, error.message, "internal_error").error();
}

Json ErrorJson(const ApiError& error, ErrorStyle style) {
  if (style == ErrorStyle::kAnthropic) {
    return {{"type", "error"}, {"error", {{"type", AnthropicTypeOf(error.status)}, {"message", error.message}}}};
  }
  Json inner = {{"message", error.message}, {"type", error.type}, {"param", nullptr}, {"code", nullptr}};
  if (error.param) inner["param"] = *error.param;
  if (error.code) inner["code"] = *error.code;
  if (error.details.is_object()) inner.update(error.details);
  return {{"error", std::move(inner)}};
}

}  // namespace kvasir::server
