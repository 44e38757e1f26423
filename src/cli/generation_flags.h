// What `run` and `chat` have in common: how an answer is generated, and when it ends.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/grammar.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

struct GenerationOptions {
  std::optional<int> max_tokens;  ///< -1: no limit.
  std::vector<std::string> stop;
  SamplingOptions sampling;
  std::string system;
  bool raw = false;  ///< Continue the text; no chat template.
  /// What the answer must look like.
  std::optional<Grammar> grammar;

  /// Tokens of an answer if the user did not say. A text that is merely continued has no end of its own.
  [[nodiscard]] int MaxTokens(bool continuation) const {
    return max_tokens.value_or(continuation ? kContinuationTokens : -1);
  }
  static constexpr int kContinuationTokens = 256;
};

/// --json-schema, --regex and --grammar, of which only one can be given.
void AddFormFlags(CLI::App& app, GenerationOptions& options, const char* group);
/// -n, --stop, --system, --raw, the form of the answer and the sampling flags.
void AddGenerationFlags(CLI::App& app, GenerationOptions& options);

/// The constraint of one request; null where any answer will do. Errors: the grammar does not fit the model.
[[nodiscard]] Result<std::shared_ptr<TokenConstraint>> ConstraintOf(const Engine& engine,
                                                                    const GenerationOptions& options);

[[nodiscard]] const char* FinishReasonName(FinishReason reason);

}  // namespace kvasir::cli
