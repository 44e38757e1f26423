// The scores of SnapKV, which PyramidKV and Ada-KV divide budgets over.
#pragma once

#include "kvcache/eviction_policies.h"

namespace kvasir::kvcache {

class SnapKv : public EvictionPolicy {
 public:
  static constexpr int kWindow = 64;  ///< Queries that look back, and tokens at the end that stay.
  static constexpr int kPool = 5;     ///< Neighbours over which scores are averaged.

  [[nodiscard]] std::string_view name() const override { return "snapkv"; }
  [[nodiscard]] std::string_view about() const override {
    return "what the last 64 tokens attend to, and its neighbours";
  }
  [[nodiscard]] EvictionNeeds needs() const override { return {.window_queries = kWindow}; }
  [[nodiscard]] int Recent(int /*budget*/) const override { return kWindow; }
  void Score(const HeadEvidence& head, std::span<float> scores) const override;
};

}  // namespace kvasir::kvcache
