// How large a cache of a model is, before anything is loaded.
#pragma once

#include <span>
#include <vector>

#include "files/gguf_reader.h"
#include "kvasir/inspect.h"
#include "model/config.h"

namespace kvasir {

/// InspectCaches for an open file; `options` with the resolved path of the model.
[[nodiscard]] Result<std::vector<CacheSize>> CacheSizesOf(const files::GgufFile& gguf, const model::ModelConfig& config,
                                                          const EngineOptions& options, std::span<const KvSpec> caches);

}  // namespace kvasir
