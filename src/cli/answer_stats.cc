#include "cli/answer_stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/figures.h"

namespace kvasir::cli {
namespace {

constexpr double kMeasureSeconds = 0.25;
constexpr int kMeasurements = 4;  // at most, where an answer was faster than the limits that were measured
// Buffers beyond this size are as far from every cache as larger ones, and cost memory.
constexpr size_t kMaxBufferBytes = size_t{256} << 20;

double Rate(int tokens, double seconds) {
  return seconds > 0 ? tokens / seconds : 0;
}

// Steps of the decode loop that `decode_seconds` covers: the first token comes from the prompt's pass, and the token
// that ends an answer costs a step without being one of its tokens.
int DecodeSteps(const Generation& answer) {
  const auto tokens = static_cast<int>(answer.tokens.size());
  return answer.reason == FinishReason::kStop ? tokens : std::max(tokens - 1, 0);
}

}  // namespace

const MachineLimits& StatsMaker::limits() {
  if (limits_) return *limits_;
  const size_t weights = engine_.info().weight_bytes_per_token;
  cost_.weight_bytes = static_cast<double>(weights);
  cost_.exact = engine_.options().compute == ComputeMode::kExact;
  // The header was read before, so this cannot fail unless the file is gone; then the limit of prompts is memory's.
  if (const auto summary = InspectModel(engine_.options())) cost_.multiply_adds = MultiplyAdds(summary->tensors);
  limits_ = Measure();
  return *limits_;
}

MachineLimits StatsMaker::Measure() const {
  const size_t weights = engine_.info().weight_bytes_per_token;
  return MeasureLimits(engine_.options().threads, std::min(weights, kMaxBufferBytes), kMeasureSeconds);
}

// A limit is what the machine can do at best. An answer that was faster shows that something else used the machine
// while they were measured: again, and the best counts.
void StatsMaker::Raise(MachineLimits& limits) const {
  const MachineLimits again = Measure();
  limits.read_gb_per_second = std::max(limits.read_gb_per_second, again.read_gb_per_second);
  limits.int8_tops = std::max(limits.int8_tops, again.int8_tops);
  limits.fma_gflops = std::max(limits.fma_gflops, again.fma_gflops);
}

AnswerStats StatsMaker::MakeUnmeasured(const Generation& answer) const {
  AnswerStats stats;
  stats.peak_bytes = engine_.memory().peak_resident_bytes;
  stats.cached_tokens = answer.cached_tokens;
  stats.prompt_tokens = answer.prompt_tokens - answer.cached_tokens;
  stats.answer_tokens = static_cast<int>(answer.tokens.size());
  stats.kv_bytes = answer.kv_bytes;
  stats.prompt_rate = Rate(stats.prompt_tokens, answer.prompt_seconds);
  stats.decode_rate = Rate(DecodeSteps(answer), answer.decode_seconds);
  return stats;
}

AnswerStats StatsMaker::Make(const Generation& answer) {
  AnswerStats stats = MakeUnmeasured(answer);
  (void)limits();
  // The cache grows evenly while the answer is generated; its mean size counts.
  const double end = answer.prompt_tokens + stats.answer_tokens;
  const double mean = answer.prompt_tokens + 0.5 * stats.answer_tokens;
  const double mean_kv_bytes = end > 0 ? static_cast<double>(answer.kv_bytes) * mean / end : 0;
  for (int i = 1;; ++i) {
    stats.prompt_percent = PercentOf(stats.prompt_rate, PromptLimit(*limits_, cost_, stats.prompt_tokens));
    stats.decode_percent = PercentOf(stats.decode_rate, DecodeLimit(*limits_, cost_, mean_kv_bytes));
    if (std::max(stats.prompt_percent, stats.decode_percent) <= 100) return stats;
    if (i == kMeasurements) break;
    Raise(*limits_);
  }
  for (double* percent : {&stats.prompt_percent, &stats.decode_percent}) {
    if (*percent > 100) *percent = 0;  // more than all of it is no figure: the limit is not known
  }
  return stats;
}

std::string StatsLine(const AnswerStats& stats) {
  std::string line;
  const auto add = [&](const char* what, double rate, double percent) {
    if (rate <= 0) return;
    const char* of = line.empty() ? " of limit" : "";
    line += fmt::format("{} {} tok/s", what, FormatFigure(rate));
    line += percent > 0 ? fmt::format(" ({:.0f}%{}) · ", percent, of) : " · ";
  };
  add("prompt", stats.prompt_rate, stats.prompt_percent);
  add("answer", stats.decode_rate, stats.decode_percent);
  return line + fmt::format("KV {} · peak memory {}", FormatBytes(stats.kv_bytes), FormatBytes(stats.peak_bytes));
}

std::string TokensText(const AnswerStats& stats) {
  const int prompt = stats.prompt_tokens + stats.cached_tokens;
  const std::string cached =
      stats.cached_tokens > 0 ? fmt::format(", {} of them from the cache,", stats.cached_tokens) : "";
  return fmt::format("{} tokens of prompt{} and {} of answer", prompt, cached, stats.answer_tokens);
}

std::string SamplingLine(const Generation& answer) {
  return "sampling: " + answer.sampling;
}

nlohmann::ordered_json StatsJson(const AnswerStats& stats) {
  const auto known = [](double percent) {
    return percent > 0 ? nlohmann::ordered_json(percent) : nlohmann::ordered_json();
  };
  return {{"prompt_tokens", stats.prompt_tokens + stats.cached_tokens},
          {"cached_tokens", stats.cached_tokens},
          {"generated_tokens", stats.answer_tokens},
          {"prompt_tokens_per_second", stats.prompt_rate},
          {"prompt_percent_of_limit", known(stats.prompt_percent)},
          {"decode_tokens_per_second", stats.decode_rate},
          {"decode_percent_of_limit", known(stats.decode_percent)},
          {"kv_bytes", stats.kv_bytes},
          {"peak_resident_bytes", stats.peak_bytes}};
}

}  // namespace kvasir::cli
