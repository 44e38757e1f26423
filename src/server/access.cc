// Neither loopback nor a firewall is a fence around a server: every page in the user's browser can send requests to
// whatever the user can reach. Three checks stop them (serving.md B2, 20): the name in Host, the page in Origin, and
// (in service.cc) the content type, because only "application/json" makes a browser ask before it sends.
#include "server/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace kvasir::server {
namespace {

constexpr size_t kShortestKey = 8;
constexpr std::string_view kPriority = "priority=";

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

// An address as browsers write it. No name has this form, so none can be made to resolve here under it.
bool IsAddress(std::string_view name) {
  if (name.starts_with('[') && name.ends_with(']')) return true;
  return !name.empty() && name.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool IsThisMachine(std::string_view name) {
  if (name == "localhost" || name.ends_with(".localhost") || name == "[::1]") return true;
  return name.starts_with("127.") && IsAddress(name);
}

bool IsListed(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// "x-a, x-b": names of headers and nothing that would begin a header of its own.
bool AreHeaderNames(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return base::IsAlphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~, ").contains(c);
  });
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

Result<int> ReadPriority(std::string_view text) {
  int priority = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), priority);
  if (error == std::errc() && end == text.data() + text.size() && priority >= 0 && priority <= kMostPriority) {
    return priority;
  }
  return Fail(ErrorCode::kInvalidArgument, fmt::format("priority= is a whole number from 0 to {}", kMostPriority));
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
    auto words = Words(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (words.empty()) continue;
    int max_priority = 0;
    if (words.size() > 1 && words.back().starts_with(kPriority)) {
      const auto priority = ReadPriority(words.back().substr(kPriority.size()));
      if (!priority) return fail(priority.error().message);
      max_priority = *priority;
      words.pop_back();
    }
    if (words.size() > 2)
      return fail("a line is KEY or NAME KEY, perhaps with priority=N, but this one has more words");
    if (words.back().size() < kShortestKey) return fail(fmt::format("a key has {} characters or more", kShortestKey));
    const std::string name = words.size() == 2 ? std::string(words.front()) : fmt::format("key{}", keys.size() + 1);
    const bool twice = std::any_of(
        keys.begin(), keys.end(), [&](const ApiKey& other) { return other.name == name || other.key == words.back(); });
    if (twice) return fail("this name or key stands there already");
    keys.push_back({name, std::string(words.back()), max_priority});
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

bool Access::MayBeCalled(std::string_view host) const {
  // No browser leaves it out; old clients do.
  if (host.empty()) return true;
  const std::string name = base::Lowered(WithoutPort(host));
  if (IsThisMachine(name)) return true;
  const auto& allowed = options_.allowed_hosts;
  if (std::any_of(allowed.begin(), allowed.end(), [&](const std::string& one) { return base::Lowered(one) == name; })) {
    return true;
  }
  if (options_.loopback) return false;
  return IsAddress(name) || (!options_.keys.empty() && allowed.empty());
}

ApiStatus Access::CheckSource(const HttpRequest& request) const {
  const std::string_view host = request.Header("host");
  if (!MayBeCalled(host)) {
    return Refuse(403,
                  "the name in the Host header is not this machine's; start the server with --allowed-host for it");
  }
  const std::string_view origin = request.Header("origin");
  if (origin.empty() || IsListed(options_.allowed_origins, origin) || IsListed(options_.allowed_origins, "*"))
    return {};
  const size_t slashes = origin.find("://");
  if (slashes != std::string_view::npos && origin.substr(slashes + 3) == host) return {};
  return Refuse(403, "pages of this Origin may not use the server; start it with --cors-origin for them");
}

ApiResult<const ApiKey*> Access::CheckKey(const HttpRequest& request) const {
  if (options_.keys.empty()) return nullptr;
  const std::string given = GivenKey(request);
  const ApiKey* found = nullptr;
  for (const ApiKey& key : options_.keys) {
    if (ConstantTimeEqual(given, key.key)) found = &key;
  }
  if (found != nullptr) return found;
  return Refuse(401,
                given.empty() ? "this server wants an API key: send 'Authorization: Bearer KEY'"
                              : "this API key is not one that the server knows",
                "invalid_api_key");
}

Headers Access::CorsHeaders(const HttpRequest& request) const {
  const std::string origin(request.Header("origin"));
  const auto& allowed = options_.allowed_origins;
  if (origin.empty() || !(IsListed(allowed, origin) || IsListed(allowed, "*"))) return {};
  // Client libraries send headers of their own (x-stainless-..., openai-organization), more with each version. A page
  // that may use the server may send what it likes; the server reads what it knows.
  const std::string_view wanted = request.Header("access-control-request-headers");
  return {{"access-control-allow-origin", origin},
          {"access-control-allow-methods", "GET, POST, OPTIONS"},
          {"access-control-allow-headers",
           AreHeaderNames(wanted)
               ? std::string(wanted)
               : "authorization, content-type, x-api-key, x-request-id, anthropic-version, anthropic-beta"},
          {"access-control-expose-headers", "x-request-id, retry-after, x-should-retry"},
          {"access-control-max-age", "600"},
          {"vary", "origin, access-control-request-headers"}};
}

}  // namespace kvasir::server
