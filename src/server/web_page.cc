// What a model says must never become part of the page's code, so the page gets the strictest policy that a browser
// knows: scripts and styles from this server alone, none inside the HTML, no text taken for HTML by any script
// (trusted types), no request to anybody else, no frame around it. Every answer is asked for anew with its entity tag,
// so that a page never mixes files of two versions of the program.
#include "server/web_page.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <utility>

#include "server/routes.h"

namespace kvasir::server {
namespace {

constexpr std::string_view kFolder = "web/";
constexpr std::string_view kIndex = "web/index.html";

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

constexpr auto kTypes = std::to_array<std::pair<std::string_view, std::string_view>>({
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
});

}  // namespace

const EmbeddedFile* FindPageFile(std::string_view path) {
  const std::string_view name = path == "/" ? kIndex : path.substr(path.starts_with('/') ? 1 : path.size());
  if (!name.starts_with(kFolder) || (path != "/" && name == kIndex)) return nullptr;
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

std::string_view ContentType(std::string_view name) {
  for (const auto& [ending, type] : kTypes) {
    if (name.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

// FNV-1a: the files are ours, so nobody looks for two with the same tag.
std::string EntityTag(std::string_view content) {
  uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return fmt::format("\"{:016x}\"", hash);
}

HttpResponse PageResponse(const HttpRequest& request, const EmbeddedFile& file) {
  const std::string tag = EntityTag(file.content);
  Headers headers = {{"etag", tag}, {"cache-control", "no-cache"}};
  // The header is a list, and a proxy that compresses puts W/ before the tag.
  if (request.Header("if-none-match").find(tag) != std::string_view::npos) {
    return {.head = {.status = 304, .headers = std::move(headers)}, .body = ""};
  }
  headers.emplace_back("content-type", ContentType(file.name));
  headers.emplace_back("content-security-policy", kPolicy);
  headers.emplace_back("x-content-type-options", "nosniff");
  headers.emplace_back("referrer-policy", "no-referrer");
  headers.emplace_back("cross-origin-opener-policy", "same-origin");
  return {.head = {.status = 200, .headers = std::move(headers)}, .body = std::string(file.content)};
}

Handled HandleWebPage(const Call& call) {
  const EmbeddedFile* file = FindPageFile(call.http.path);
  if (file == nullptr) return Refuse(500, "the page is not part of this program", "internal_error");
  return Fixed(PageResponse(call.http, *file));
}

}  // namespace kvasir::server
