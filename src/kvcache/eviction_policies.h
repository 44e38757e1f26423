// The techniques by name, for the registry and for tests: each is a file evict_*.cc.
#pragma once

#include "kvcache/eviction_policy.h"

namespace kvasir::kvcache {

[[nodiscard]] const EvictionPolicy& StreamingEviction();
[[nodiscard]] const EvictionPolicy& RecentEviction();
[[nodiscard]] const EvictionPolicy& RandomEviction();
[[nodiscard]] const EvictionPolicy& H2oEviction();
[[nodiscard]] const EvictionPolicy& TovaEviction();
[[nodiscard]] const EvictionPolicy& SnapKvEviction();
[[nodiscard]] const EvictionPolicy& PyramidKvEviction();
[[nodiscard]] const EvictionPolicy& AdaKvEviction();
[[nodiscard]] const EvictionPolicy& KeyNormEviction();
[[nodiscard]] const EvictionPolicy& KeyDiffEviction();
[[nodiscard]] const EvictionPolicy& ExpectedEviction();

}  // namespace kvasir::kvcache
