#include "cli/generation_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "base/check.h"
#include "cli/flags.h"
#include "cli/sampling_flags.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {

void AddGenerationFlags(CLI::App& app, GenerationOptions& options) {
  constexpr const char* kGroup = "Answer";
  const Setter set_max = [&options](std::string_view text) -> Status {
    KV_ASSIGN(const int64_t value, ParseCount(text, -1, std::numeric_limits<int>::max()));
    options.max_tokens = static_cast<int>(value);
    return {};
  };
  AddValue(app, "-n,--max-tokens", "N",
           fmt::format("tokens at most; -1 is no limit (default: until the model ends its answer, {} with --raw)",
                       GenerationOptions::kContinuationTokens),
           set_max)
      ->group(kGroup);
  const Setter set_system = [&options](std::string_view text) -> Status {
    if (!CheckUtf8(text, "")) return Fail(ErrorCode::kInvalidArgument, "is not UTF-8 text");
    options.system = text;
    return {};
  };
  AddValue(app, "--system", "TEXT", "what the model is told before the conversation", set_system)->group(kGroup);
  AddTexts(app, "--stop", "TEXT", "end the answer before TEXT; may be repeated", options.stop)->group(kGroup);
  app.add_flag("--raw", options.raw, "continue the text as it is, without the model's chat template")->group(kGroup);
  AddSamplingFlags(app, options.sampling);
}

const char* FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kDeadline: return "deadline";
  }
  return "unknown";
}

}  // namespace kvasir::cli
