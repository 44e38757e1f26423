// The prefix cache as a tree of segments, for observers.
#pragma once

#include <span>
#include <vector>

#include "kvasir/scheduler.h"
#include "kvcache/block.h"
#include "kvcache/prefix_index.h"

namespace kvasir {

/// A running request and the sealed blocks of its text, in order of position.
struct RequestBlocks {
  RequestId id = 0;
  int computed_tokens = 0;
  std::vector<kvcache::BlockHash> blocks;
};

/// `held` as PrefixIndex::Blocks gives them. Of more than `max_segments` segments, those used longest ago are left out.
[[nodiscard]] CacheMap MakeCacheMap(std::span<const kvcache::HeldBlockInfo> held,
                                    std::span<const RequestBlocks> requests, int max_segments);

}  // namespace kvasir
