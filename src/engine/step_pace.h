// How many prompt tokens a step may compute beside running streams.
//
// The problem: a step that computes a long piece of a prompt delays the next token of every stream, and how long
// depends on the model, the machine, the depth of the contexts and the rest of the load. The idea: measure. A step
// takes about `base` (the streams alone) plus `cost` per prompt row; both are followed by moving averages, and the
// piece is what fits the target. An estimate that was too low is corrected faster than one that was too high, because a
// late token is what the target is against. Where the streams alone use up the target, prompts still get a quarter of
// their time, or they would never be answered.
#pragma once

namespace kvasir {

class StepPace {
 public:
  /// `target_seconds` between two tokens of a stream; 0: no target. A step has room for `max_rows` in all.
  StepPace(double target_seconds, int max_rows) : target_(target_seconds), max_rows_(max_rows) {}

  /// Prompt rows of a step with so many streams; none only where the streams alone fill the step.
  [[nodiscard]] int PromptRows(int streams) const;
  /// A step with so many rows of both kinds took `seconds`.
  void Observe(int streams, int prompt_rows, double seconds);

 private:
  double target_;
  int max_rows_;
  double base_ = 0;  // seconds of a step without prompts; 0: not known
  double cost_ = 0;  // seconds per prompt row; 0: not known
};

}  // namespace kvasir
