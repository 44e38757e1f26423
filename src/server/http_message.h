// An HTTP request and the head of an answer, as plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/log.h"

namespace kvasir::server {

/// Of any request. With keys, a key's holder may ask for as much as the key file says.
inline constexpr int kMostPriority = 1'000'000;

/// Names are lower case.
using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  ///< "GET"
  std::string path;    ///< Exactly as it was sent, up to a '?'.
  std::string query;   ///< What follows the '?'.
  Headers headers;
  std::string body;
  std::string id;                    ///< What logs and the answer's x-request-id call it.
  std::string tenant;                ///< The name of the API key; empty where the server has none.
  int max_priority = kMostPriority;  ///< That it may ask for.
  std::string peer;                  ///< The client's address.
  bool old_http = false;             ///< HTTP/1.0: no chunks, no further request.
  bool body_ahead = false;           ///< A body follows the header.

  /// The first header of that (lower case) name; empty if there is none.
  [[nodiscard]] std::string_view Header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct HttpHead {
  int status = 200;
  Headers headers;  ///< Without the length and the connection's own.
};

/// A whole answer.
struct HttpResponse {
  HttpHead head;
  std::string body;
  LogFields log = {};  ///< What its line in the log says besides.
};

/// "Not Found" for 404.
[[nodiscard]] std::string_view ReasonPhrase(int status);

}  // namespace kvasir::server
