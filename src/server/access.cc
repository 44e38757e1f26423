// Loopback is no fence around a server: every page in the user's browser can send requests there. Three checks stop
// them (serving.md B2, 20): the name in Host, the page in Origin, and (in service.cc) the content type, because only
// "application/json" makes a browser ask before it sends.
#include "server/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvasir::server {
namespace {

constexpr size_t kShortestKey = 8;

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == '#') break;
    if (IsBlank(line[i])) {
      ++i;
      continue;
    }
    const size_t begin = i;
    while (i < line.size() && !IsBlank(line[i])) ++i;
    words.push_back(line.substr(begin, i - begin));
  }
  return words;
}

// "example.org:8080" -> "example.org", "[::1]:8080" -> "[::1]"
std::string_view WithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  return colon == std::string_view::npos || host.ends_with(']') ? host : host.substr(0, colon);
}

bool IsThisMachine(std::string_view name) {
  if (name == "localhost" || name.ends_with(".localhost") || name == "[::1]") return true;
  return name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string DecodeBase64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) break;
    bits = (bits << 6U | static_cast<uint32_t>(digit)) & 0xFFFFFFU;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU);
    }
  }
  return bytes;
}

// "Bearer x" -> "x" where `scheme` is "bearer".
std::optional<std::string_view> Credentials(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') return std::nullopt;
  for (size_t i = 0; i < scheme.size(); ++i) {
    if ((static_cast<unsigned char>(header[i]) | 0x20U) != static_cast<unsigned char>(scheme[i])) return std::nullopt;
  }
  header.remove_prefix(scheme.size());
  while (header.starts_with(' ')) header.remove_prefix(1);
  return header;
}

std::string GivenKey(const HttpRequest& request) {
  const std::string_view header = request.Header("authorization");
  if (const auto key = Credentials(header, "bearer")) return std::string(*key);
  if (const auto basic = Credentials(header, "basic")) {
    const std::string both = DecodeBase64(*basic);
    return both.substr(std::min(both.size(), both.find(':') + 1));
  }
  return std::string(request.Header("x-api-key"));
}

}  // namespace

Result<std::vector<ApiKey>> ParseKeyFile(std::string_view text, std::string_view file) {
  std::vector<ApiKey> keys;
  int number = 0;
  const auto fail = [&](std::string_view message) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}, line {}: {}", file, number, message));
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto words = Words(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (words.empty()) continue;
    if (words.size() > 2) return fail("a line is KEY or NAME KEY, but this one has more words");
    if (words.back().size() < kShortestKey) return fail(fmt::format("a key has {} characters or more", kShortestKey));
    const std::string name = words.size() == 2 ? std::string(words.front()) : fmt::format("key{}", keys.size() + 1);
    const bool twice = std::any_of(
        keys.begin(), keys.end(), [&](const ApiKey& other) { return other.name == name || other.key == words.back(); });
    if (twice) return fail("this name or key stands there already");
    keys.push_back({name, std::string(words.back())});
  }
  if (keys.empty()) return Fail(ErrorCode::kInvalidArgument, fmt::format("{} holds no key", file));
  return keys;
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  volatile unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const unsigned x = i < a.size() ? static_cast<unsigned char>(a[i]) : 0;
    const unsigned y = i < b.size() ? static_cast<unsigned char>(b[i]) : 0;
    difference = difference | (x ^ y);
  }
  return difference == 0;
}

ApiStatus Access::CheckSource(const HttpRequest& request) const {
  const std::string_view host = request.Header("host");
  const auto listed = [](const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  const std::string_view name = WithoutPort(host);
  if (options_.loopback && !host.empty() && !IsThisMachine(name) && !listed(options_.allowed_hosts, name)) {
    return Refuse(403,
                  "the name in the Host header is not this machine's; start the server with --allowed-host for it");
  }
  const std::string_view origin = request.Header("origin");
  if (origin.empty() || listed(options_.allowed_origins, origin) || listed(options_.allowed_origins, "*")) return {};
  const size_t slashes = origin.find("://");
  if (slashes != std::string_view::npos && origin.substr(slashes + 3) == host) return {};
  return Refuse(403, "pages of this Origin may not use the server; start it with --cors-origin for them");
}

ApiResult<std::string> Access::CheckKey(const HttpRequest& request) const {
  if (options_.keys.empty()) return "";
  const std::string given = GivenKey(request);
  const ApiKey* found = nullptr;
  for (const ApiKey& key : options_.keys) {
    if (ConstantTimeEqual(given, key.key)) found = &key;
  }
  if (found != nullptr) return found->name;
  return Refuse(401,
                given.empty() ? "this server wants an API key: send 'Authorization: Bearer KEY'"
                              : "this API key is not one that the server knows",
                "invalid_api_key");
}

Headers Access::CorsHeaders(const HttpRequest& request) const {
  const std::string origin(request.Header("origin"));
  const auto& allowed = options_.allowed_origins;
  const bool listed = std::find(allowed.begin(), allowed.end(), origin) != allowed.end() ||
                      std::find(allowed.begin(), allowed.end(), "*") != allowed.end();
  if (origin.empty() || !listed) return {};
  return {{"access-control-allow-origin", origin},
          {"access-control-allow-methods", "GET, POST, OPTIONS"},
          {"access-control-allow-headers",
           "authorization, content-type, x-api-key, x-request-id, anthropic-version, anthropic-beta"},
          {"access-control-expose-headers", "x-request-id, retry-after"},
          {"access-control-max-age", "600"},
          {"vary", "origin"}};
}

}  // namespace kvasir::server
