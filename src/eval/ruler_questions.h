// The questions of a RulerPlan for one engine: task after task, sample after sample.
#pragma once

#include <span>
#include <vector>

#include "eval/haystack.h"
#include "eval/ruler_prompt.h"
#include "eval/ruler_task.h"
#include "kvasir/engine.h"
#include "kvasir/ruler.h"

namespace kvasir::eval {

/// Immutable; refers to the engine.
class RulerQuestions {
 public:
  /// Errors: those of EvalRuler that the plan alone can cause.
  [[nodiscard]] static Result<RulerQuestions> Create(const Engine& engine, const RulerPlan& plan);

  [[nodiscard]] std::span<const RulerTask* const> tasks() const { return tasks_; }
  [[nodiscard]] bool chat_template() const { return chat_; }
  /// The prompt of sample `number` of a task: a function of the plan's seed, the task and the number.
  [[nodiscard]] Result<RulerPrompt> Prompt(const RulerTask& task, int number) const;
  /// How many tokens of a prompt are computed before a cache may compress what it holds: by default the text without
  /// the question, so that nothing can be kept because it will be asked for.
  [[nodiscard]] size_t FirstPiece(const RulerPrompt& prompt) const;

 private:
  RulerQuestions(const Engine& engine, const RulerPlan& plan, Haystack haystack, const ChatTemplate* chat);

  uint64_t seed_;
  int context_;
  bool query_aware_;
  bool chat_;
  Haystack haystack_;
  PromptWriter writer_;
  std::vector<const RulerTask*> tasks_;
};

/// What a greedy answer to `prompt` is worth.
[[nodiscard]] RulerSample Judge(const RulerPrompt& prompt, std::string answer);
/// Fills in the means and intervals of a report whose samples are there.
void Summarise(RulerReport& report, uint64_t seed);

}  // namespace kvasir::eval
