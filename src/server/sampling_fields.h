// The members of a request that say how the next token is chosen.
#pragma once

#include "kvasir/sampling.h"
#include "server/app.h"
#include "server/fields.h"

namespace kvasir::server {

/// Reads every sampling option of the engine under the name it has there, and under those of OpenAI and vLLM where they
/// differ. `vocabulary` bounds token ids. Problems are noted in `fields`, under the name that the request used.
[[nodiscard]] SamplingOptions ReadSampling(Fields& fields, const SamplingDefaults& defaults, int vocabulary);

}  // namespace kvasir::server
