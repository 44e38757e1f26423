// The web page: files that are part of the program, handed out to browsers.
#pragma once

#include <string>
#include <string_view>

#include "server/embedded_files.h"
#include "server/http_message.h"

namespace kvasir::server {

/// The file of the page at this path, or null: "/" is web/index.html, "/web/NAME" is web/NAME. It needs no key: it
/// holds nothing but code, and asks for a key before it calls anything that needs one.
[[nodiscard]] const EmbeddedFile* FindPageFile(std::string_view path);

/// "text/javascript; charset=utf-8" for "web/main.js".
[[nodiscard]] std::string_view ContentType(std::string_view name);

/// A quoted name of the content, for ETag: other content has another one.
[[nodiscard]] std::string EntityTag(std::string_view content);

/// The answer to `request` for `file`: 304 without a body where If-None-Match says that the browser has it.
[[nodiscard]] HttpResponse PageResponse(const HttpRequest& request, const EmbeddedFile& file);

}  // namespace kvasir::server
