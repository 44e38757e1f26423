#include "engine/cache_evictor.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "kvcache/eviction_driver.h"

namespace kvasir {

namespace {

const kvcache::EvictionPolicy& PolicyOf(const KvSpec& spec) {
  const auto policy = kvcache::FindEvictionPolicy(spec.evict);
  KV_CHECK(policy.has_value());  // KvOptionsOf has checked it
  return **policy;
}

}  // namespace

std::unique_ptr<CacheEvictor> CacheEvictor::Create(Engine::Impl& engine, const KvSpec& spec,
                                                   const kvcache::CompactStore* compact) {
  if (!spec.evicts()) return nullptr;
  return std::unique_ptr<CacheEvictor>(new CacheEvictor(engine, spec, compact));
}

CacheEvictor::CacheEvictor(Engine::Impl& engine, const KvSpec& spec, const kvcache::CompactStore* compact)
    : engine_(engine), spec_(spec), policy_(PolicyOf(spec)) {
  if (policy_.needs().any()) {
    record_.emplace(engine.kv_shape, policy_.needs(), engine.attention, engine.pool, compact);
  }
}

int CacheEvictor::Reusable(const kvcache::KvSequence& sequence, int common, int prompt_tokens) const {
  if (dirty()) return 0;
  // The record has seen exactly these rows; or a caller has compressed a context to ask several questions about it.
  if (common == sequence.length() || by_caller_) return common;
  return ReusableOfOthers(spec_, common, prompt_tokens);
}

int CacheEvictor::ReusableOfOthers(const KvSpec& spec, int common, int prompt_tokens) {
  if (!spec.evicts()) return common;
  const kvcache::EvictionNeeds needs = PolicyOf(spec).needs();
  if (needs.sums()) return 0;
  // The end of the prompt is always computed, because there the cache is evicted from: also where a request is computed
  // again that has generated more.
  return std::max(0, std::min(common, prompt_tokens - std::max(1, needs.window_queries)));
}

int CacheEvictor::MostHeld(const KvSpec& spec, int prompt_tokens, int tokens) {
  if (!spec.evicts()) return tokens;
  const int kept = spec.BudgetOf(prompt_tokens);
  return std::min(tokens, std::max(prompt_tokens, kept + kEvictionSlack));
}

void CacheEvictor::OnRewind(const kvcache::KvSequence& sequence) {
  if (sequence.length() == 0) {
    if (record_) record_->Reset();
    budget_ = 0;
    next_ = kNever;
    by_caller_ = false;
    return;
  }
  next_ = by_caller_ ? std::max(sequence.length(), budget_) + kEvictionSlack : kNever;
  if (!record_) return;
  const kvcache::KvShape& shape = engine_.kv_shape;
  const auto blocks = static_cast<int32_t>(kvcache::BlocksFor(sequence.committed()));
  std::vector<int> held;
  for (int layer = 0; layer < shape.layers; ++layer) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      const bool recorded = shape.window(layer) == 0;
      held.push_back(recorded ? static_cast<int>(sequence.HeldPositions(layer, head, blocks).size()) : 0);
    }
  }
  record_->Rewind(sequence.length(), held);
}

void CacheEvictor::BeginPrompt(int prompt_tokens) {
  if (by_caller_) return;
  budget_ = 0;
  next_ = prompt_tokens;
}

int CacheEvictor::RoomInStep(const kvcache::KvSequence& sequence) const {
  return std::max(1, next_ - sequence.length());
}

Status CacheEvictor::EvictIfDue(kvcache::KvSequence& sequence) {
  if (sequence.committed() < next_) return {};
  const int32_t length = sequence.committed();
  const std::lock_guard lock(engine_.step);  // the threads work for one at a time
  if (budget_ == 0) budget_ = spec_.BudgetOf(length);
  KV_TRY(kvcache::EvictToBudget(sequence, policy_, engine_.attention, budget_, record(), engine_.pool));
  next_ = std::max(length, budget_) + kEvictionSlack;
  return {};
}

Status CacheEvictor::Compress(kvcache::KvSequence& sequence) {
  by_caller_ = true;
  budget_ = spec_.BudgetOf(sequence.committed());
  next_ = sequence.committed();
  return EvictIfDue(sequence);
}

}  // namespace kvasir
