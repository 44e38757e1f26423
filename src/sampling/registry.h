// The list of all techniques.
#pragma once

#include <span>
#include <string_view>

#include "sampling/stage.h"

namespace kvasir::sampling {

/// Every stage, in the default order.
[[nodiscard]] std::span<const StageInfo* const> AllStages();

/// The stage with this canonical name, or a null pointer.
[[nodiscard]] const StageInfo* FindStage(std::string_view name);

/// The names of all stages as an error message lists them: "logit_bias, penalties, ...".
[[nodiscard]] std::string StageNames();

}  // namespace kvasir::sampling
