// How a text is cut for evaluation.
#pragma once

#include <cstdint>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/eval.h"

namespace kvasir::eval {

/// Non-overlapping chunks of `text.context` tokens, the rest dropped. Where the model adds a beginning-of-text token,
/// it overwrites the first token of every chunk: the convention that makes figures comparable with llama.cpp's. Errors:
/// a context out of range, a text of less than two chunks.
[[nodiscard]] Result<std::vector<std::vector<int32_t>>> CutText(const Engine& engine, const EvalText& text);

/// Of a chunk of `context` tokens the logits at positions context/2 .. context-2 are scored, each against the token
/// that follows it.
[[nodiscard]] inline int FirstScored(int context) {
  return context / 2;
}

}  // namespace kvasir::eval
