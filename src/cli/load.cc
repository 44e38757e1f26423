#include "cli/load.h"

#include <fmt/format.h>

#include "cli/progress.h"

namespace kvasir::cli {

Result<std::unique_ptr<Engine>> LoadEngine(EngineOptions options) {
  Progress progress("loading");
  options.on_progress = [&progress](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  return Engine::Load(options);
}

}  // namespace kvasir::cli
