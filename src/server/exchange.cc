#include "server/exchange.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"

namespace kvasir::server {
namespace {

// "messages[2].content". The names of unknown members are their client's, but one of letters, digits and underscores is
// no sentence, and who runs the server wants to know what clients send.
bool IsMemberName(const std::string& param) {
  constexpr size_t kLongest = 80;
  return param.size() <= kLongest && std::all_of(param.begin(), param.end(), [](char c) {
           return base::IsAlphanumeric(c) || std::string_view("_.[]").contains(c);
         });
}

}  // namespace

LogFields ErrorLog(const ApiError& error) {
  LogFields fields = {{"error", error.code.value_or(error.type)}};
  if (error.param && IsMemberName(*error.param)) fields.emplace_back("param", *error.param);
  return fields;
}

HttpResponse JsonResponse(const Json& value, int status) {
  return {.head = {.status = status, .headers = {{"content-type", "application/json"}}},
          .body = DumpJson(value) + "\n"};
}

HttpResponse ErrorResponse(const ApiError& error, ErrorStyle style) {
  HttpResponse response = JsonResponse(ErrorJson(error, style), error.status);
  response.log = ErrorLog(error);
  Headers& headers = response.head.headers;
  if (error.retry_after_seconds > 0) {
    headers.emplace_back("retry-after", fmt::to_string(error.retry_after_seconds));
  } else if (error.status == 429 || error.status >= 500) {
    headers.emplace_back("x-should-retry", "false");  // clients would try again, in vain
  }
  if (!error.allow.empty()) headers.emplace_back("allow", error.allow);
  if (error.status == 401) headers.emplace_back("www-authenticate", "Bearer, Basic realm=\"kvasir\"");
  return response;
}

std::shared_ptr<Exchange> Fixed(HttpResponse response) {
  return std::make_shared<FixedExchange>(std::move(response));
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Answer";
  }
}

}  // namespace kvasir::server
