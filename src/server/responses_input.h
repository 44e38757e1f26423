// The input of a response as a conversation.
#pragma once

#include "server/fields.h"
#include "server/json.h"

namespace kvasir::server {

/// Reads the members instructions and input. A text is a message of the user; the instructions come before everything
/// and are also given out. Of items, messages are taken, calls of functions and their outputs.
[[nodiscard]] Json ReadResponseInput(Fields& fields, Json& instructions);

}  // namespace kvasir::server
