#include <array>

#include "cli/command.h"
#include "cli/command_list.h"

namespace kvasir::cli {

std::span<const Command> Commands() {
  constexpr bool kUsesKernels = true;
  static constexpr auto kCommands = std::to_array<Command>({
      {"run", "Talk to a model", "answer one prompt", DefineRun, kUsesKernels},
      {"chat", "Talk to a model", "hold a conversation in the terminal", DefineChat, kUsesKernels},
      {"serve", "Talk to a model", "answer many users over HTTP, in OpenAI's words", DefineServe, kUsesKernels},
      {"embed", "Talk to a model", "turn texts into vectors that say how near they are", DefineEmbed, kUsesKernels},
      {"inspect", "Look inside", "what a model file holds and what it takes to run it", DefineInspect, kUsesKernels},
      {"tokenize", "Look inside", "turn text into tokens", DefineTokenize},
      {"detokenize", "Look inside", "turn tokens back into text", DefineDetokenize},
      {"apply-template", "Look inside", "show the text that a model sees of a conversation", DefineApplyTemplate},
      {"grammar", "Look inside", "try a JSON schema, a regular expression or a grammar", DefineGrammar},
      {"bench", "Measure", "speed, beside the limits of this machine", DefineBench, kUsesKernels},
      {"eval", "Measure", "quality: perplexity, and distance from the exact model", DefineEval, kUsesKernels},
      {"calibrate", "Measure", "learn what errors in the cache cost a model", DefineCalibrate, kUsesKernels},
      {"tune", "Measure", "find the cache that suits a model, and keep it for later starts", DefineTune, kUsesKernels},
      {"completion", "Set up", "print completions for your shell", DefineCompletion},
  });
  return kCommands;
}

}  // namespace kvasir::cli
