// The answers of /v1/chat/completions (serving.md D1, D2, D5).
#pragma once

#include <memory>

#include "server/answer.h"
#include "server/app.h"
#include "server/generation.h"

namespace kvasir::server {

[[nodiscard]] std::unique_ptr<AnswerFormat> MakeChatFormat(const Model& model, GenerationOptions options);

}  // namespace kvasir::server
