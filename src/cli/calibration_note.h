// What a cache does without.
#pragma once

#include <span>
#include <string>

#include "kvasir/kv_spec.h"

namespace kvasir::cli {

/// Where one of `caches` would use a calibration that the model does not have: what the first of them does instead, and
/// how to make one. Empty where none does.
[[nodiscard]] std::string MissingCalibration(const std::string& model, std::span<const KvSpec> caches);

/// The same as a line on standard error.
void NoteMissingCalibration(const std::string& model, std::span<const KvSpec> caches);

}  // namespace kvasir::cli
