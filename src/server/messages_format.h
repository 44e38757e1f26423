// The answers of /v1/messages.
#pragma once

#include <memory>

#include "server/answer.h"
#include "server/app.h"
#include "server/generation.h"

namespace kvasir::server {

[[nodiscard]] std::unique_ptr<AnswerFormat> MakeMessagesFormat(const Model& model, GenerationOptions options);

}  // namespace kvasir::server
