#include "cli/generation_flags.h"

#include <fmt/format.h>

#include <limits>

#include "base/check.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/sampling_flags.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {

void AddFormFlags(CLI::App& app, GenerationOptions& options, const char* group) {
  using Reader = Result<Grammar> (*)(std::string_view);
  const auto add = [&](const std::string& flag, const std::string& type, const std::string& help, Reader read) {
    const bool from_file = type == "FILE";
    return AddValue(app, flag, type, help,
                    [&options, read, from_file](std::string_view value) -> Status {
                      std::string text(value);
                      if (from_file) {
                        KV_ASSIGN(text, ReadTextFile(text));
                      }
                      auto grammar = read(text);
                      if (!grammar) return Fail(grammar.error().code, "cannot be used: " + grammar.error().message);
                      options.grammar = std::move(*grammar);
                      return {};
                    })
        .Group(group);
  };
  const Flag schema =
      add("--json-schema", "FILE", "the answer is a JSON document of the schema in FILE", Grammar::FromJsonSchema);
  const Flag regex = add("--regex", "REGEX", "the answer matches the regular expression", Grammar::FromRegex);
  const Flag gbnf = add("--grammar", "FILE", "the answer is a text of the GBNF grammar in FILE", Grammar::FromGbnf);
  schema.Excludes(regex).Excludes(gbnf);
  regex.Excludes(gbnf);
}

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
      .Group(kGroup);
  const Setter set_system = [&options](std::string_view text) -> Status {
    if (!CheckUtf8(text, "")) return Fail(ErrorCode::kInvalidArgument, "is not UTF-8 text");
    options.system = text;
    return {};
  };
  AddValue(app, "--system", "TEXT", "what the model is told before the conversation", set_system).Group(kGroup);
  AddTexts(app, "--stop", "TEXT", "end the answer before TEXT; may be repeated", options.stop).Group(kGroup);
  AddSwitch(app, "--raw", options.raw, "continue the text as it is, without the model's chat template").Group(kGroup);
  AddFormFlags(app, options, kGroup);
  AddSamplingFlags(app, options.sampling);
}

Result<std::shared_ptr<TokenConstraint>> ConstraintOf(const Engine& engine, const GenerationOptions& options) {
  if (!options.grammar) return std::shared_ptr<TokenConstraint>();
  return Constrain(engine, *options.grammar);
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
