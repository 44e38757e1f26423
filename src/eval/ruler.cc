// Asking a model the questions of RULER.

#include "kvasir/ruler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/check.h"
#include "eval/bootstrap.h"
#include "eval/distribution.h"
#include "eval/ruler_prompt.h"
#include "eval/ruler_task.h"
#include "eval/runner.h"
#include "kvasir/engine.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

// The answer to one prompt.
Result<RulerSample> Ask(Session& session, const eval::RulerPrompt& prompt, int answer_tokens, bool query_aware) {
  // The prompt is computed in two pieces. What the first one left in the cache is all that a compressor may look at: by
  // default the text without the question, so that nothing can be kept because it will be asked for.
  const auto first_piece = static_cast<size_t>(query_aware ? std::ssize(prompt.tokens) - 1 : prompt.context_tokens);
  session.Reset();
  KV_TRY(session.Evaluate(std::span(prompt.tokens).first(first_piece), static_cast<int>(first_piece), 0,
                          [](int, std::span<const float>) {}));
  KV_TRY(session.CompressCache());

  RulerSample sample{.prompt_tokens = static_cast<int>(prompt.tokens.size()), .context_tokens = prompt.context_tokens};
  std::string answer;
  Request request{.prompt = prompt.tokens, .max_tokens = answer_tokens};
  request.sampling.temperature = 0;
  request.on_token = [&](const TokenEvent& event) {
    answer += event.text;
    return eval::Recall(eval::FindFacts(prompt.facts, answer)) < 1;
  };
  KV_TRY(session.Generate(request));
  const std::vector<bool> found = eval::FindFacts(prompt.facts, answer);
  for (size_t i = 0; i < found.size(); ++i) {
    sample.expected.push_back({prompt.facts[i].text, prompt.facts[i].depth, found[i]});
  }
  sample.score = eval::Recall(found);
  sample.answer = std::move(answer);
  return sample;
}

Result<eval::Haystack> HaystackOf(const RulerPlan& plan) {
  if (plan.haystack.empty()) return eval::Haystack(plan.seed);
  std::vector<std::string> sentences = eval::SplitSentences(plan.haystack);
  if (sentences.empty()) return Fail(ErrorCode::kInvalidArgument, "the text for the haystack has no sentence");
  return eval::Haystack(std::move(sentences));
}

Result<std::vector<const eval::RulerTask*>> TasksOf(const RulerPlan& plan) {
  KV_ASSIGN(const std::vector<std::string> names,
            ParseRulerTasks(plan.tasks.empty() ? "all" : fmt::format("{}", fmt::join(plan.tasks, ","))));
  std::vector<const eval::RulerTask*> tasks;
  for (const eval::RulerTask& task : eval::RulerTaskTable()) {
    if (std::find(names.begin(), names.end(), task.name) != names.end()) tasks.push_back(&task);
  }
  return tasks;
}

std::vector<double> ScoresOf(const RulerTaskReport& task) {
  std::vector<double> scores;
  scores.reserve(task.samples.size());
  for (const RulerSample& sample : task.samples) scores.push_back(sample.score);
  return scores;
}

double MeanOf(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void Summarise(RulerReport& report, uint64_t seed) {
  std::vector<std::vector<double>> all;
  for (RulerTaskReport& task : report.tasks) {
    all.push_back(ScoresOf(task));
    task.score = MeanOf(all.back());
    task.interval = eval::BootstrapMean(all.back(), seed);
    report.score += task.score / static_cast<double>(report.tasks.size());
  }
  report.interval = eval::BootstrapMeanOfMeans(all, seed);
}

}  // namespace

std::vector<std::string_view> RulerTasks() {
  std::vector<std::string_view> names;
  names.reserve(eval::RulerTaskTable().size());
  for (const eval::RulerTask& task : eval::RulerTaskTable()) names.push_back(task.name);
  return names;
}

Result<std::vector<std::string>> ParseRulerTasks(std::string_view names) {
  const std::vector<std::string_view> known = RulerTasks();
  std::vector<bool> chosen(known.size());
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    const std::string_view name = names.substr(begin, end - begin);
    begin = end + 1;
    bool any = false;
    for (size_t i = 0; i < known.size(); ++i) {
      const bool in_group = known[i].starts_with(name) && known[i].substr(name.size()).starts_with('_');
      if (name != "all" && name != known[i] && !in_group) continue;
      any = chosen[i] = true;
    }
    if (!any) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("'{}' is no task; the tasks are {}, and groups of them: niah, niah_single, niah_multikey, all",
                      name, fmt::join(known, ", ")));
    }
  }
  std::vector<std::string> tasks;
  for (size_t i = 0; i < known.size(); ++i) {
    if (chosen[i]) tasks.emplace_back(known[i]);
  }
  return tasks;
}

Result<RulerReport> EvalRuler(const EngineOptions& options, const RulerPlan& plan, const EvalProgress& progress) {
  KV_ASSIGN(const std::vector<const eval::RulerTask*> tasks, TasksOf(plan));
  KV_ASSIGN(const eval::Haystack haystack, HaystackOf(plan));
  if (plan.samples < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} samples cannot be measured; at least one is needed", plan.samples));
  }
  EngineOptions engine_options = options;
  engine_options.context_tokens = plan.context;
  KV_ASSIGN(const std::unique_ptr<Engine> engine, Engine::Load(engine_options));
  KV_ASSIGN(const std::unique_ptr<Session> session, engine->NewSession());
  const Result<const ChatTemplate*> chat_template = engine->chat_template();
  const bool chat = chat_template.has_value() && !plan.raw;
  const eval::PromptWriter writer(engine->tokenizer(), chat ? *chat_template : nullptr);
  const eval::RulerFrame frame{.haystack = haystack, .context_tokens = plan.context};

  const Clock::time_point start = Clock::now();
  RulerReport report{
      .model = engine->info().name, .configuration = eval::ConfigurationOf(*engine), .chat_template = chat};
  const int total = plan.samples * static_cast<int>(tasks.size());
  eval::Sample scores;
  for (const eval::RulerTask* task : tasks) {
    report.tasks.push_back({.task = std::string(task->name)});
    for (int i = 0; i < plan.samples; ++i) {
      const eval::Dice dice = eval::Dice::For(plan.seed, task->name, static_cast<uint64_t>(i));
      KV_ASSIGN(const eval::RulerPrompt prompt, writer.Fill(*task, dice, frame));
      KV_ASSIGN(RulerSample sample, Ask(*session, prompt, task->answer_tokens, plan.query_aware));
      scores.Add(sample.score);
      report.tasks.back().samples.push_back(std::move(sample));
      if (progress && !progress(static_cast<int>(scores.size()), total, scores.Mean())) {
        return std::unexpected(eval::Cancelled());
      }
    }
  }
  Summarise(report, plan.seed);
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return report;
}

}  // namespace kvasir
