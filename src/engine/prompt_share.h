// How prompts that are being computed share the rows of a step.
//
// The problem: in order of arrival, a question of twenty tokens waits until the document of thirty thousand before it
// is done. The idea: shortest first, which makes the mean wait least, but half of the rows are the oldest prompt's, so
// that short ones that keep coming cannot stop it: it takes at most twice its time. Source: shortest remaining
// processing time (Schrage, 1968), with a guaranteed share against its starvation.
#pragma once

#include <span>
#include <vector>

namespace kvasir {

/// What a prompt still needs.
struct PromptWork {
  int remaining = 0;  ///< Tokens.
  int priority = 0;   ///< Higher ones are served completely before lower ones.
};

/// Rows for each of `prompts`, which are in order of admission; `room` in all, or all that remains if that is less.
[[nodiscard]] std::vector<int> ShareRows(std::span<const PromptWork> prompts, int room);

}  // namespace kvasir
