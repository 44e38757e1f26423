// The answers of /v1/responses (serving.md D6).
#pragma once

#include <memory>

#include "server/answer.h"
#include "server/app.h"
#include "server/generation.h"

namespace kvasir::server {

/// `instructions` is what the request gave under that name, or null.
[[nodiscard]] std::unique_ptr<AnswerFormat> MakeResponseFormat(const Model& model, GenerationOptions options,
                                                               Json instructions);

}  // namespace kvasir::server
