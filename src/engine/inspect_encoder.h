// Looking at an encoder's folder without loading it.
#pragma once

#include <string>

#include "kvasir/inspect.h"

namespace kvasir {

/// What `folder`, a path for which IsEncoder holds, says about its model: shape, tensors, and how a text becomes a
/// vector. Only headers are read. An architecture that cannot be computed is described as far as its tensors go, with
/// ModelSummary::cannot_run. Errors: files that cannot be read, or whose headers are broken.
[[nodiscard]] Result<ModelSummary> InspectEncoder(const std::string& folder);

}  // namespace kvasir
