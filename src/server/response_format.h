// The form an answer must have: OpenAI's response_format, and this server's json_schema, regex and grammar.
#pragma once

#include <optional>
#include <string>

#include "kvasir/grammar.h"
#include "server/api_error.h"
#include "server/app.h"
#include "server/fields.h"

namespace kvasir::server {

/// Reads `response_format`, `json_schema`, `regex` and `grammar`, of which a request may have one. None: any text will
/// do. What cannot be kept exactly is a problem of the member, with the JSON pointer of what is wrong in a schema.
[[nodiscard]] std::optional<Grammar> ReadResponseFormat(Fields& fields, const Model& model);

/// Reads one format object, which messages call `path`. A schema and its labels may stand inside an object
/// `json_schema`, as in chats, or beside `type`, as in /v1/responses.
[[nodiscard]] std::optional<Grammar> ReadFormat(const Json& format, const std::string& path, Fields& fields,
                                                const Model& model);

}  // namespace kvasir::server
