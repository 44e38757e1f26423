/// @file
/// How much of a long context a model, with a given cache, still finds: the tasks of RULER.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/eval.h"
#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// What to ask. docs/evaluation.md describes the tasks.
struct RulerPlan {
  int context = 2048;              ///< Tokens of a prompt and its answer together.
  std::vector<std::string> tasks;  ///< Names of RulerTasks(); empty: all.
  int samples = 10;                ///< Prompts for each task.
  uint64_t seed = 1;               ///< Of the prompts, and of the bootstrap.
  /// What essays are made of, in sentences; empty: made-up sentences.
  std::string haystack;
  /// Use the plain text even where the model has a chat template.
  bool raw = false;
  /// Let the cache see the question before it may compress. False: it has to serve any question.
  bool query_aware = false;
};

/// One string that the answer should hold.
struct RulerExpected {
  std::string text;    ///< Looked for without regard to the case of ASCII letters.
  double depth = -1;   ///< Where it stands in the prompt's text, 0..1; -1 where it has no one place.
  bool found = false;  ///< Whether the answer holds it.
};

/// One prompt and its answer.
struct RulerSample {
  int prompt_tokens = 0;                ///< The chat template's included.
  int context_tokens = 0;               ///< Of them, before the question.
  std::vector<RulerExpected> expected;  ///< At least one.
  std::string answer;                   ///< Ends where all expected strings are found: more cannot change the score.
  double score = 0;                     ///< Share of the expected strings found, 0..1.
};

/// All samples of a task.
struct RulerTaskReport {
  std::string task;                  ///< One of RulerTasks().
  double score = 0;                  ///< The mean of the samples', 0..1.
  std::optional<Interval> interval;  ///< Over samples.
  std::vector<RulerSample> samples;  ///< RulerPlan::samples.
};

/// All tasks that were asked.
struct RulerReport {
  std::string model;                   ///< ModelInfo::name.
  std::string configuration;           ///< As in DepthReport.
  bool chat_template = false;          ///< Whether one was used.
  double score = 0;                    ///< The mean of the tasks'.
  std::optional<Interval> interval;    ///< Of the score; samples are drawn task by task.
  std::vector<RulerTaskReport> tasks;  ///< In RULER's order.
  double seconds = 0;                  ///< All of it but loading.
};

/// The names of all tasks, in RULER's order.
[[nodiscard]] std::vector<std::string_view> RulerTasks();

/// The tasks that `names` stands for: names with commas between them, of tasks or of groups (the beginning of tasks'
/// names up to an underscore: "niah", "niah_single"). "all" is all of them. Each task once, in RULER's order. The error
/// lists the tasks.
[[nodiscard]] Result<std::vector<std::string>> ParseRulerTasks(std::string_view names);

/// Asks every sample of every task and looks for the expected strings in the greedy answers. The same seed gives the
/// same prompts, byte for byte, whatever other tasks are asked. `progress` gets samples done, samples in all, and the
/// mean score so far. Errors: unknown tasks, no samples, a haystack without a sentence, a context that the model cannot
/// hold or that is too small for a task.
[[nodiscard]] Result<RulerReport> EvalRuler(const EngineOptions& options, const RulerPlan& plan,
                                            const EvalProgress& progress = {});

}  // namespace kvasir
