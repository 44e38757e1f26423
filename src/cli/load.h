// Loading a model, with a progress bar when it takes a while.
#pragma once

#include <memory>

#include "kvasir/engine.h"

namespace kvasir::cli {

[[nodiscard]] Result<std::unique_ptr<Engine>> LoadEngine(EngineOptions options);

}  // namespace kvasir::cli
