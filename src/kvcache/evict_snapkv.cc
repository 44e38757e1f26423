// SnapKV (Li et al., arXiv:2404.14469): the tokens to which the end of the prompt attends.
//
// The idea: what a prompt's last rows (the question) attend to is what the answer will attend to. The attention of the
// last 64 queries over all keys is averaged over them and over the heads that share a KV head, then pooled over 5
// neighbours, so that a token is not kept without the words around it. Window 64 and kernel 5 are the authors' class's
// defaults. Where the question comes after the eviction, the window looks at the wrong thing: the known weakness.
#include "kvcache/evict_snapkv.h"

#include <algorithm>

#include "kvcache/attention_weights.h"

namespace kvasir::kvcache {

void SnapKv::Score(const HeadEvidence& head, std::span<float> scores) const {
  std::vector<float> attention(scores.size());
  MeanAttention(head, 0, attention);
  // Neighbours that are not there count as zeros.
  const auto n = static_cast<int64_t>(scores.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t end = std::min<int64_t>(n, i + kPool / 2 + 1);
    float sum = 0;
    for (int64_t j = std::max<int64_t>(0, i - kPool / 2); j < end; ++j) sum += attention[static_cast<size_t>(j)];
    scores[static_cast<size_t>(i)] = sum / kPool;
  }
}

const EvictionPolicy& SnapKvEviction() {
  static const SnapKv kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
