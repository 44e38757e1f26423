// Buckets and alias names are vLLM's, so that its public dashboards fit (serving.md A6).
#include "server/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace kvasir::server {
namespace {

constexpr auto kFirstTokenBounds = std::to_array<double>(
    {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560});
constexpr auto kInterTokenBounds = std::to_array<double>(
    {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80});
constexpr auto kRequestBounds = std::to_array<double>(
    {0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680});
constexpr auto kChoiceBounds = std::to_array<double>({1, 2, 5, 10, 20});
constexpr auto kTokenBounds = std::to_array<double>(
    {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10'000, 20'000, 50'000, 100'000, 200'000});

// Of this process; 0 where the system does not say.
size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::string EscapedLabel(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

void Header(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

struct Single {
  const char* name;
  const char* alias;  // vLLM's name of the same, or null
  const char* type;
  const char* help;
  double value;
};

std::vector<Single> SchedulerMetrics(const SchedulerStats& s) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  const double budget = std::max(1.0, number(s.kv_budget_bytes));
  return {
      {"kvasir_requests_running", "vllm:num_requests_running", "gauge", "Requests computed together now.",
       number(s.running)},
      {"kvasir_requests_waiting", "vllm:num_requests_waiting", "gauge", "Requests in the queue.", number(s.waiting)},
      {"kvasir_requests_accepted_total", nullptr, "counter", "Requests taken into the queue.", number(s.accepted)},
      {"kvasir_requests_refused_total", nullptr, "counter", "Requests refused because the queue was full.",
       number(s.refused)},
      {"kvasir_requests_cancelled_total", nullptr, "counter", "Requests ended by a cancellation or a deadline.",
       number(s.cancelled)},
      {"kvasir_requests_failed_total", nullptr, "counter", "Requests ended by an error.", number(s.failed)},
      {"kvasir_steps_total", nullptr, "counter", "Steps of the scheduler.", number(s.steps)},
      {"kvasir_prompt_tokens_total", nullptr, "counter", "Prompt tokens computed, without cached ones.",
       number(s.prompt_tokens)},
      {"kvasir_cached_tokens_total", "vllm:prefix_cache_hits_total", "counter", "Prompt tokens taken from the cache.",
       number(s.cached_tokens)},
      {"kvasir_generated_tokens_total", "vllm:generation_tokens_total", "counter", "Tokens generated.",
       number(s.generated_tokens)},
      {"kvasir_recomputed_tokens_total", nullptr, "counter", "Tokens computed again after a preemption.",
       number(s.recomputed_tokens)},
      {"kvasir_preemptions_total", "vllm:num_preemptions_total", "counter", "Requests whose memory was taken.",
       number(s.preemptions)},
      {"kvasir_prefix_lookups_total", nullptr, "counter", "Prompts looked up in the prefix cache.",
       number(s.prefix_lookups)},
      {"kvasir_prefix_hits_total", nullptr, "counter", "Lookups that found something.", number(s.prefix_hits)},
      {"kvasir_evicted_blocks_total", nullptr, "counter", "Cache blocks given up for memory.",
       number(s.evicted_blocks)},
      {"kvasir_kv_budget_bytes", nullptr, "gauge", "Upper bound of all KV pages and records.",
       number(s.kv_budget_bytes)},
      {"kvasir_kv_record_bytes", nullptr, "gauge", "Set aside for what eviction policies record.",
       number(s.kv_record_bytes)},
      {"kvasir_kv_bytes", nullptr, "gauge", "Live KV pages.", number(s.kv_bytes)},
      {"kvasir_kv_shared_bytes", nullptr, "gauge", "Of those, used by two or more requests.",
       number(s.kv_shared_bytes)},
      {"kvasir_kv_cached_bytes", nullptr, "gauge", "Of those, held for reuse only.", number(s.kv_cached_bytes)},
      {"kvasir_kv_usage_ratio", "vllm:kv_cache_usage_perc", "gauge", "In use by requests, of the budget.",
       (number(s.kv_bytes) - number(s.kv_cached_bytes) + number(s.kv_record_bytes)) / budget},
      {"kvasir_last_step_seconds", nullptr, "gauge", "Duration of the last step.", s.last_step_ms / 1e3},
  };
}

void WriteSingle(std::string& out, std::string_view name, const Single& metric, std::string_view labels) {
  Header(out, name, metric.type, metric.help);
  fmt::format_to(std::back_inserter(out), "{}{{{}}} {}\n", name, labels, metric.value);
}

// The lines of one histogram; `counts` has one entry more than `bounds`.
void WriteBuckets(std::string& out, std::string_view name, std::string_view labels, std::span<const double> bounds,
                  std::span<const uint64_t> counts, double sum) {
  uint64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const std::string bound = i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf";
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound, total);
  }
  fmt::format_to(std::back_inserter(out), "{}_sum{{{}}} {}\n", name, labels, sum);
  fmt::format_to(std::back_inserter(out), "{}_count{{{}}} {}\n", name, labels, total);
}

void WriteShadow(std::string& out, const ShadowStats& shadow, std::string_view labels) {
  WriteSingle(out, "kvasir_shadow_requests_total",
              {"kvasir_shadow_requests_total", nullptr, "counter", "Requests checked against exact attention.",
               static_cast<double>(shadow.requests)},
              labels);
  constexpr auto kName = "kvasir_shadow_attention_distance";
  Header(out, kName, "histogram", "Of a head's attention from exact attention, relative.");
  const std::vector<uint64_t> counts(shadow.comparisons.begin(), shadow.comparisons.end());
  WriteBuckets(out, kName, labels, ShadowStats::kBounds, counts, shadow.distance_sum);
}

void WriteSteps(std::string& out, const StepStats& stats, std::string_view labels, bool aliases) {
  const std::vector<uint64_t> counts(stats.steps.begin(), stats.steps.end());
  for (const char* name : {"kvasir_step_tokens", "vllm:iteration_tokens_total"}) {
    const bool alias = name[0] == 'v';
    if (alias && !aliases) continue;
    Header(out, name, "histogram", "Tokens computed together in a step.");
    WriteBuckets(out, name, fmt::format("{}{}", labels, alias ? ",engine=\"0\"" : ""), StepStats::kBounds, counts,
                 static_cast<double>(stats.tokens));
  }
}

}  // namespace

Histogram::Histogram(std::span<const double> upper_bounds)
    : bounds_(upper_bounds.begin(), upper_bounds.end()), counts_(upper_bounds.size() + 1) {}

void Histogram::Observe(double value) {
  const auto place = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<size_t>(place)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

void Histogram::Write(std::string& out, std::string_view name, std::string_view labels) const {
  std::vector<uint64_t> counts;
  for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
  WriteBuckets(out, name, labels, bounds_, counts, sum_.load(std::memory_order_relaxed));
}

Metrics::Metrics()
    : time_to_first_token(kFirstTokenBounds),
      inter_token(kInterTokenBounds),
      end_to_end(kRequestBounds),
      queue(kRequestBounds),
      prefill(kRequestBounds),
      decode(kRequestBounds),
      inference(kRequestBounds),
      prompt_tokens(kTokenBounds),
      generated_tokens(kTokenBounds),
      longest_answer(kTokenBounds),
      choices(kChoiceBounds),
      max_tokens(kTokenBounds) {}

void Metrics::CountPace(double seconds) {
  const std::lock_guard lock(mutex_);
  pace_.Finished(seconds);
}

int Metrics::SecondsUntilFinished(int requests) const {
  const std::lock_guard lock(mutex_);
  return pace_.SecondsFor(requests);
}

void Metrics::CountHttp(std::string_view route, int status) {
  const std::lock_guard lock(mutex_);
  ++http_[{std::string(route), status}];
}

void Metrics::CountFinished(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  ++finished_[std::string(reason)];
}

void Metrics::WriteHistograms(std::string& out, std::string_view model, bool aliases) const {
  struct Entry {
    const char* name;  // null where only vLLM has it
    const char* alias;
    const char* help;
    const Histogram& histogram;
  };
  const Entry entries[] = {
      {"kvasir_time_to_first_token_seconds", "vllm:time_to_first_token_seconds", "From the request to its first token.",
       time_to_first_token},
      {"kvasir_inter_token_seconds", "vllm:inter_token_latency_seconds", "Between two tokens of an answer.",
       inter_token},
      {nullptr, "vllm:time_per_output_token_seconds", "The same, under its older name.", inter_token},
      {"kvasir_request_seconds", "vllm:e2e_request_latency_seconds", "From the request to its last token.", end_to_end},
      {"kvasir_queue_seconds", "vllm:request_queue_time_seconds", "In the queue.", queue},
      {"kvasir_prefill_seconds", "vllm:request_prefill_time_seconds", "Computing the prompt.", prefill},
      {"kvasir_decode_seconds", "vllm:request_decode_time_seconds", "From the first token to the last.", decode},
      {nullptr, "vllm:request_inference_time_seconds", "Computing the prompt and the answer.", inference},
      {"kvasir_request_prompt_tokens", "vllm:request_prompt_tokens", "Tokens per prompt.", prompt_tokens},
      {"kvasir_request_generated_tokens", "vllm:request_generation_tokens", "Tokens per answer.", generated_tokens},
      {nullptr, "vllm:request_max_num_generation_tokens", "Tokens of the longest answer to a prompt.", longest_answer},
      {nullptr, "vllm:request_params_n", "Answers wanted to a prompt.", choices},
      {nullptr, "vllm:request_params_max_tokens", "Tokens that an answer might have.", max_tokens},
  };
  const std::string labels = fmt::format("model_name=\"{}\"", model);
  for (const Entry& entry : entries) {
    if (entry.name != nullptr) {
      Header(out, entry.name, "histogram", entry.help);
      entry.histogram.Write(out, entry.name, labels);
    }
    if (!aliases) continue;
    Header(out, entry.alias, "histogram", entry.help);
    entry.histogram.Write(out, entry.alias, labels + ",engine=\"0\"");
  }
}

std::string Metrics::Text(const SchedulerStats* stats, std::string_view model, int connections, bool aliases,
                          bool ready) const {
  std::string out;
  const std::string name = EscapedLabel(model);
  Header(out, "kvasir_ready", "gauge", "1 when the model is loaded.");
  fmt::format_to(std::back_inserter(out), "kvasir_ready {}\n", ready ? 1 : 0);
  Header(out, "kvasir_http_connections", "gauge", "Open connections.");
  fmt::format_to(std::back_inserter(out), "kvasir_http_connections {}\n", connections);
  Header(out, "kvasir_resident_bytes", "gauge", "Memory of the process that is in RAM.");
  fmt::format_to(std::back_inserter(out), "kvasir_resident_bytes {}\n", ResidentBytes());
  Header(out, "kvasir_clients_left_total", "counter", "Answers whose client had gone before the end.");
  fmt::format_to(std::back_inserter(out), "kvasir_clients_left_total {}\n", client_left_.load());
  {
    const std::lock_guard lock(mutex_);
    Header(out, "kvasir_http_requests_total", "counter", "Requests by route and status.");
    for (const auto& [key, count] : http_) {
      fmt::format_to(std::back_inserter(out), "kvasir_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n",
                     key.first, key.second, count);
    }
    for (const char* metric : {"kvasir_requests_finished_total", "vllm:request_success_total"}) {
      if (metric[0] == 'v' && !aliases) continue;
      Header(out, metric, "counter", "Answers by the reason for which they ended.");
      for (const auto& [reason, count] : finished_) {
        fmt::format_to(std::back_inserter(out), "{}{{model_name=\"{}\",finished_reason=\"{}\"}} {}\n", metric, name,
                       reason, count);
      }
    }
  }
  if (stats != nullptr) {
    const std::string labels = fmt::format("model_name=\"{}\"", name);
    for (const Single& metric : SchedulerMetrics(*stats)) {
      WriteSingle(out, metric.name, metric, labels);
      if (aliases && metric.alias != nullptr) WriteSingle(out, metric.alias, metric, labels + ",engine=\"0\"");
    }
    WriteSteps(out, stats->step_tokens, labels, aliases);
    WriteShadow(out, stats->shadow, labels);
    if (aliases) {
      // vLLM counts all prompt tokens here, and those looked up in the cache there.
      const auto all = static_cast<double>(stats->prompt_tokens + stats->cached_tokens);
      for (const char* metric : {"vllm:prompt_tokens_total", "vllm:prefix_cache_queries_total"}) {
        WriteSingle(out, metric, {metric, nullptr, "counter", "Prompt tokens, cached ones included.", all},
                    labels + ",engine=\"0\"");
      }
    }
  }
  WriteHistograms(out, name, aliases);
  return out;
}

void AppendModelMetrics(std::string& out, const ModelFacts& facts, std::string_view model, bool aliases) {
  const std::string labels = fmt::format("model_name=\"{}\"", EscapedLabel(model));
  WriteSingle(out, "kvasir_weights_bytes",
              {"kvasir_weights_bytes", nullptr, "gauge", "Weights in memory.", static_cast<double>(facts.weight_bytes)},
              labels);
  if (!aliases) return;
  constexpr auto kConfig = "vllm:cache_config_info";
  WriteSingle(out, kConfig, {kConfig, nullptr, "gauge", "How the cache is set up.", 1},
              fmt::format("{},engine=\"0\",block_size=\"{}\",num_gpu_blocks=\"{}\",cache_dtype=\"{}\","
                          "enable_prefix_caching=\"{}\"",
                          labels, facts.block_tokens, facts.cache_blocks, EscapedLabel(facts.kv),
                          facts.prefix_cache ? "True" : "False"));
}

void AppendEmbeddingMetrics(std::string& out, const EmbeddingStats& s, std::string_view model) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  const Single metrics[] = {
      {"kvasir_embedding_requests_waiting", nullptr, "gauge", "Requests for embeddings that are not finished.",
       number(s.waiting)},
      {"kvasir_embedding_requests_accepted_total", nullptr, "counter", "Requests for embeddings taken.",
       number(s.accepted)},
      {"kvasir_embedding_requests_refused_total", nullptr, "counter", "Those refused because the queue was full.",
       number(s.refused)},
      {"kvasir_embedding_requests_cancelled_total", nullptr, "counter", "Those whose client left.",
       number(s.cancelled)},
      {"kvasir_embedding_requests_failed_total", nullptr, "counter", "Those ended by an error.", number(s.failed)},
      {"kvasir_embedding_texts_total", nullptr, "counter", "Texts turned into vectors.", number(s.texts)},
      {"kvasir_embedding_tokens_total", nullptr, "counter", "Their tokens.", number(s.tokens)},
      {"kvasir_embedding_batches_total", nullptr, "counter", "Batches in which they were computed.", number(s.batches)},
      {"kvasir_embedding_seconds_total", nullptr, "counter", "Time spent in batches.", s.seconds},
  };
  const std::string labels = fmt::format("model_name=\"{}\"", EscapedLabel(model));
  for (const Single& metric : metrics) WriteSingle(out, metric.name, metric, labels);
}

}  // namespace kvasir::server
