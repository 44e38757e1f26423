#include "eval/ruler_questions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "eval/bootstrap.h"

namespace kvasir::eval {
namespace {

Result<Haystack> HaystackOf(const RulerPlan& plan) {
  if (plan.haystack.empty()) return Haystack(plan.seed);
  std::vector<std::string> sentences = SplitSentences(plan.haystack);
  if (sentences.empty()) return Fail(ErrorCode::kInvalidArgument, "the text for the haystack has no sentence");
  return Haystack(std::move(sentences));
}

Result<std::vector<const RulerTask*>> TasksOf(const RulerPlan& plan) {
  KV_ASSIGN(const std::vector<std::string> names,
            ParseRulerTasks(plan.tasks.empty() ? "all" : fmt::format("{}", fmt::join(plan.tasks, ","))));
  std::vector<const RulerTask*> tasks;
  for (const RulerTask& task : RulerTaskTable()) {
    if (std::ranges::count(names, task.name) > 0) tasks.push_back(&task);
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

}  // namespace

RulerQuestions::RulerQuestions(const Engine& engine, const RulerPlan& plan, Haystack haystack, const ChatTemplate* chat)
    : seed_(plan.seed),
      context_(plan.context),
      query_aware_(plan.query_aware),
      chat_(chat != nullptr),
      haystack_(std::move(haystack)),
      writer_(engine.tokenizer(), chat) {}

Result<RulerQuestions> RulerQuestions::Create(const Engine& engine, const RulerPlan& plan) {
  if (plan.samples < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} samples cannot be measured; at least one is needed", plan.samples));
  }
  KV_ASSIGN(std::vector<const RulerTask*> tasks, TasksOf(plan));
  KV_ASSIGN(Haystack haystack, HaystackOf(plan));
  const Result<const ChatTemplate*> chat = engine.chat_template();
  RulerQuestions questions(engine, plan, std::move(haystack), chat && !plan.raw ? *chat : nullptr);
  questions.tasks_ = std::move(tasks);
  return questions;
}

Result<RulerPrompt> RulerQuestions::Prompt(const RulerTask& task, int number) const {
  const RulerFrame frame{.haystack = haystack_, .context_tokens = context_};
  return writer_.Fill(task, Dice::For(seed_, task.name, static_cast<uint64_t>(number)), frame);
}

size_t RulerQuestions::FirstPiece(const RulerPrompt& prompt) const {
  return static_cast<size_t>(query_aware_ ? std::ssize(prompt.tokens) - 1 : prompt.context_tokens);
}

RulerSample Judge(const RulerPrompt& prompt, std::string answer) {
  RulerSample sample{.prompt_tokens = static_cast<int>(prompt.tokens.size()), .context_tokens = prompt.context_tokens};
  const std::vector<bool> found = FindFacts(prompt.facts, answer);
  for (size_t i = 0; i < found.size(); ++i) {
    sample.expected.push_back({prompt.facts[i].text, prompt.facts[i].depth, found[i]});
  }
  sample.score = Recall(found);
  sample.answer = std::move(answer);
  return sample;
}

void Summarise(RulerReport& report, uint64_t seed) {
  std::vector<std::vector<double>> all;
  for (RulerTaskReport& task : report.tasks) {
    all.push_back(ScoresOf(task));
    task.score = MeanOf(all.back());
    task.interval = BootstrapMean(all.back(), seed);
    report.score += task.score / static_cast<double>(report.tasks.size());
  }
  report.interval = BootstrapMeanOfMeans(all, seed);
}

}  // namespace kvasir::eval
