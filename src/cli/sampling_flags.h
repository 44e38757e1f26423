// The options that say how the next token is chosen.
#pragma once

#include <string_view>
#include <utility>

#include "kvasir/sampling.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvasir::cli {

/// Adds a flag for every member of SamplingOptions. What a member allows is asked of kvasir::Validate, so that no range
/// stands in two places.
void AddSamplingFlags(CLI::App& app, SamplingOptions& options);

/// Reads "ID:BIAS" or "ID+BIAS" / "ID-BIAS", for example "42:-1.5" or "42-inf".
[[nodiscard]] Result<std::pair<int32_t, float>> ParseLogitBias(std::string_view text);

}  // namespace kvasir::cli
