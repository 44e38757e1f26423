#include "eval/chunks.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvasir::eval {

Result<std::vector<std::vector<int32_t>>> CutText(const Engine& engine, const EvalText& text) {
  const int context = text.context;
  if (context < 8 || context > engine.options().context_tokens) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the context is {} tokens; it must be 8 to {}, which the model is loaded for", context,
                            engine.options().context_tokens));
  }
  const std::vector<int32_t> tokens =
      engine.tokenizer().Encode(text.text, {.add_special = true, .parse_special = false});
  const size_t size = static_cast<size_t>(context);
  if (tokens.size() < 2 * size) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the text has {} tokens; at a context of {} at least {} are needed", tokens.size(), context,
                            2 * size));
  }
  size_t count = tokens.size() / size;
  if (text.max_chunks > 0) count = std::min(count, static_cast<size_t>(text.max_chunks));
  std::vector<std::vector<int32_t>> chunks;
  for (size_t c = 0; c < count; ++c) {
    chunks.emplace_back(tokens.begin() + static_cast<ptrdiff_t>(c * size),
                        tokens.begin() + static_cast<ptrdiff_t>((c + 1) * size));
    if (engine.tokenizer().adds_bos()) chunks.back().front() = engine.tokenizer().bos();
  }
  return chunks;
}

}  // namespace kvasir::eval
