// Asking a model the questions of RULER.

#include "kvasir/ruler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/seconds_since.h"
#include "eval/distribution.h"
#include "eval/ruler_questions.h"
#include "eval/runner.h"
#include "kvasir/engine.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

// The answer to one prompt, computed in two pieces: between them a cache may compress what it holds.
Result<RulerSample> Ask(Session& session, const eval::RulerPrompt& prompt, int answer_tokens, size_t first_piece) {
  session.Reset();
  KV_TRY(session.Evaluate(std::span(prompt.tokens).first(first_piece), static_cast<int>(first_piece), 0,
                          [](int, std::span<const float>) {}));
  KV_TRY(session.CompressCache());

  std::string answer;
  Request request{.prompt = prompt.tokens, .max_tokens = answer_tokens};
  request.sampling.temperature = 0;
  request.on_token = [&](const TokenEvent& event) {
    answer += event.text;
    return eval::Recall(eval::FindFacts(prompt.facts, answer)) < 1;
  };
  KV_TRY(session.Generate(request));
  return eval::Judge(prompt, std::move(answer));
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
  EngineOptions engine_options = options;
  engine_options.context_tokens = plan.context;
  KV_ASSIGN(const std::unique_ptr<Engine> engine, Engine::Load(engine_options));
  KV_ASSIGN(const eval::RulerQuestions questions, eval::RulerQuestions::Create(*engine, plan));
  KV_ASSIGN(const std::unique_ptr<Session> session, engine->NewSession());

  const Clock::time_point start = Clock::now();
  RulerReport report{.model = engine->info().name,
                     .configuration = eval::ConfigurationOf(*engine),
                     .chat_template = questions.chat_template()};
  const int total = plan.samples * static_cast<int>(questions.tasks().size());
  eval::Sample scores;
  for (const eval::RulerTask* task : questions.tasks()) {
    report.tasks.push_back({.task = std::string(task->name)});
    for (int i = 0; i < plan.samples; ++i) {
      KV_ASSIGN(const eval::RulerPrompt prompt, questions.Prompt(*task, i));
      KV_ASSIGN(RulerSample sample, Ask(*session, prompt, task->answer_tokens, questions.FirstPiece(prompt)));
      scores.Add(sample.score);
      report.tasks.back().samples.push_back(std::move(sample));
      if (progress && !progress(static_cast<int>(scores.size()), total, scores.Mean())) {
        return std::unexpected(eval::Cancelled());
      }
    }
  }
  eval::Summarise(report, plan.seed);
  report.seconds = base::SecondsSince(start);
  return report;
}

}  // namespace kvasir
