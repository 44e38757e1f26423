// The quiet line after an answer: what it cost, and how much of the machine that used.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cli/limits.h"
#include "kvasir/engine.h"

namespace kvasir::cli {

/// The figures of one answer.
struct AnswerStats {
  int prompt_tokens = 0;  ///< Computed, without those found in the cache.
  int cached_tokens = 0;
  int answer_tokens = 0;
  double prompt_rate = 0;     ///< tokens/s
  double prompt_percent = 0;  ///< of PromptLimit; 0 where that is not known
  double decode_rate = 0;
  double decode_percent = 0;  ///< of DecodeLimit; 0 where that is not known
  size_t kv_bytes = 0;
  size_t peak_bytes = 0;
};

/// Works out the figures of answers of one engine. The machine's limits are measured (a quarter of a second of every
/// thread) when the first answer asks for them, never before it, and again where an answer was faster than they say.
class StatsMaker {
 public:
  explicit StatsMaker(const Engine& engine) : engine_(engine) {}
  [[nodiscard]] AnswerStats Make(const Generation& answer);
  /// The same without the percentages, for which alone the limits are measured.
  [[nodiscard]] AnswerStats MakeUnmeasured(const Generation& answer) const;
  [[nodiscard]] const MachineLimits& limits();

 private:
  [[nodiscard]] MachineLimits Measure() const;
  void Raise(MachineLimits& limits) const;

  const Engine& engine_;
  std::optional<MachineLimits> limits_;
  TokenCost cost_;
};

/// "prompt 812 tok/s (63% of limit) · answer 88.1 tok/s (71%) · KV 3.10 MB · peak memory 214 MB": under 100 columns.
[[nodiscard]] std::string StatsLine(const AnswerStats& stats);

/// "136 tokens of prompt, 95 of them from the cache, and 41 of answer"
[[nodiscard]] std::string TokensText(const AnswerStats& stats);

/// "sampling: top_k(40) > temperature(0.8) > draw(seed 42)": what chose the tokens, in order.
[[nodiscard]] std::string SamplingLine(const Generation& answer);

/// The figures for programs; a percentage that is not known is null.
[[nodiscard]] nlohmann::ordered_json StatsJson(const AnswerStats& stats);

}  // namespace kvasir::cli
