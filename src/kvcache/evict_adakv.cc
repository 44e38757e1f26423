// Ada-KV (Feng et al., arXiv:2407.11550): SnapKV's scores, and a layer's budget divided over its heads by need.
//
// The idea: some heads look at a handful of tokens and some at everything; with the same number for each the former
// keep what they do not use. All scores of a layer are put into one pool, and the best of it are kept, whichever head
// they belong to; but each head keeps a share alpha = 0.2 of an even division in any case. Because a head's pages are
// its own here, this frees as much memory as an even division does.
#include <algorithm>
#include <functional>

#include "kvcache/evict_snapkv.h"

namespace kvasir::kvcache {
namespace {

constexpr double kFloor = 0.2;

class AdaKv final : public SnapKv {
 public:
  [[nodiscard]] std::string_view name() const override { return "adakv"; }
  [[nodiscard]] std::string_view about() const override {
    return "snapkv with more tokens for heads that look at more";
  }

  [[nodiscard]] std::vector<int> DivideHeads(std::span<const std::vector<float>> heads, int each) const override {
    const auto floor = static_cast<size_t>(kFloor * each);
    struct Scored {
      float score;
      size_t head;
    };
    std::vector<Scored> pool;
    std::vector<int> counts;
    size_t left = static_cast<size_t>(each) * heads.size();
    for (size_t h = 0; h < heads.size(); ++h) {
      std::vector<float> sorted = heads[h];
      std::ranges::sort(sorted, std::greater());
      const size_t safe = std::min(floor, sorted.size());
      counts.push_back(static_cast<int>(safe));
      left -= safe;
      for (size_t i = safe; i < sorted.size(); ++i) pool.push_back({sorted[i], h});
    }
    left = std::min(left, pool.size());
    // Equal scores go to the earlier head, so that the result does not depend on the algorithm.
    std::ranges::sort(pool, [](const Scored& a, const Scored& b) {
      return a.score != b.score ? a.score > b.score : a.head < b.head;
    });
    for (size_t i = 0; i < left; ++i) ++counts[pool[i].head];
    return counts;
  }
};

}  // namespace

const EvictionPolicy& AdaKvEviction() {
  static const AdaKv kPolicy;
  return kPolicy;
}

}  // namespace kvasir::kvcache
