#include "engine/cache_evictor.h"

#include <algorithm>
#include <mutex>
#include <utility>
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

// How many of the first `common` tokens of a prompt need not be computed where their rows were never seen.
int ReusableRows(const kvcache::EvictionPolicy& policy, int common, int prompt_tokens) {
  const kvcache::EvictionNeeds needs = policy.needs();
  if (needs.sums()) return 0;
  // The end of the prompt is always computed, because there the cache is evicted from: also where a request is computed
  // again that has generated more.
  return std::max(0, std::min(common, prompt_tokens - std::max(1, needs.window_queries)));
}

// The tokens at the start that stay where they are when the rest is numbered anew.
size_t FixedTokens(const kvcache::EvictionPolicy& policy) {
  return static_cast<size_t>(kvcache::BlocksFor(policy.sinks())) * kernels::kPageTokens;
}

int BudgetAfter(const Engine::Impl& engine, const KvSpec& spec, int text_tokens) {
  return EvictionBudget(spec, engine.kv_shape, engine.options.context_tokens, text_tokens);
}

}  // namespace

Result<std::unique_ptr<CacheEvictor>> CacheEvictor::Create(Engine::Impl& engine, const KvSpec& spec,
                                                           const kvcache::CompactStore* compact, int most_held) {
  if (!spec.evicts()) return nullptr;
  const size_t bytes = RecordBytes(spec, engine.kv_shape, engine.attention.heads, most_held);
  KV_ASSIGN(kvcache::PagePool::Reservation reserved, engine.pages->Reserve(bytes));
  return std::unique_ptr<CacheEvictor>(new CacheEvictor(engine, spec, compact, std::move(reserved)));
}

CacheEvictor::CacheEvictor(Engine::Impl& engine, const KvSpec& spec, const kvcache::CompactStore* compact,
                           kvcache::PagePool::Reservation reserved)
    : engine_(engine), spec_(spec), policy_(PolicyOf(spec)), reserved_(std::move(reserved)) {
  if (policy_.needs().any()) {
    record_.emplace(engine.kv_shape, policy_.needs(), engine.attention, engine.pool, compact);
  }
}

void CacheEvictor::TakeOver(const AttentionRecord* seen) {
  if (!record_) return;
  KV_CHECK(seen != nullptr);
  record_->TakeOver(*seen);
}

int CacheEvictor::CommonWith(const kvcache::KvSequence& sequence, std::span<const int32_t> prompt) const {
  const std::span<const int32_t> held = sequence.tokens();
  const size_t first = dropped_.empty() ? held.size() : FixedTokens(policy_);
  size_t common = 0;
  for (const std::span<const int32_t> part : {held.first(first), std::span(dropped_), held.subspan(first)}) {
    const auto rest = prompt.subspan(common);
    const auto same = static_cast<size_t>(std::ranges::mismatch(part, rest).in1 - part.begin());
    common += same;
    if (same < part.size()) break;
  }
  return static_cast<int>(common);
}

int CacheEvictor::Reusable(const kvcache::KvSequence& sequence, int common, int prompt_tokens) const {
  if (dirty()) return 0;
  const int held = common - dropped();
  // What lies before the gap alone is another text's beginning.
  if (dropped() > 0 && held <= static_cast<int>(FixedTokens(policy_))) return 0;
  // The record has seen exactly these rows; or a caller has compressed a context to ask several questions about it.
  if (held == sequence.length() || by_caller_) return held;
  return ReusableRows(policy_, held, prompt_tokens - dropped());
}

int CacheEvictor::ReusableOfOthers(const Engine::Impl& engine, int common, int prompt_tokens) {
  if (!engine.options.kv.evicts()) return common;
  // A full context would be evicted from before anything else.
  const int held = std::min(common, engine.options.context_tokens - 1);
  return ReusableRows(PolicyOf(engine.options.kv), held, prompt_tokens);
}

int CacheEvictor::MostHeld(const Engine::Impl& engine, int prompt_tokens, int tokens) {
  const KvSpec& spec = engine.options.kv;
  if (!spec.evicts()) return tokens;
  const int kept = BudgetAfter(engine, spec, prompt_tokens);
  return std::min({tokens, std::max(prompt_tokens, kept + kEvictionSlack), engine.options.context_tokens});
}

void CacheEvictor::OnRewind(const kvcache::KvSequence& sequence) {
  if (sequence.length() == 0) {
    if (record_) record_->Reset();
    budget_ = 0;
    next_ = kNever;
    by_caller_ = false;
    dropped_.clear();
    return;
  }
  next_ = by_caller_ ? std::max(TextOf(sequence), budget_) + kEvictionSlack : kNever;
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

bool CacheEvictor::IsFull(const kvcache::KvSequence& sequence) const {
  return spec_.endless() && sequence.committed() >= engine_.options.context_tokens;
}

int CacheEvictor::RoomInStep(const kvcache::KvSequence& sequence) const {
  int room = next_ - TextOf(sequence);
  if (spec_.endless()) room = std::min(room, engine_.options.context_tokens - sequence.length());
  return std::max(1, room);
}

Status CacheEvictor::EvictIfDue(kvcache::KvSequence& sequence) {
  const int32_t text = TextOf(sequence);
  const bool due = text >= next_;
  if (!due && !IsFull(sequence)) return {};
  const int budget = budget_ > 0 ? budget_ : BudgetAfter(engine_, spec_, text);
  if (due) budget_ = budget;
  KV_TRY(EvictTo(sequence, budget));
  if (due) next_ = std::max(text, budget_) + kEvictionSlack;
  return {};
}

Status CacheEvictor::EvictTo(kvcache::KvSequence& sequence, int budget) {
  std::vector<int32_t> before;
  if (spec_.endless()) before.assign(sequence.tokens().begin(), sequence.tokens().end());
  const std::lock_guard lock(engine_.step);  // the threads work for one at a time
  KV_TRY(
      kvcache::EvictToBudget(sequence, policy_, engine_.attention, budget, record(), engine_.pool, spec_.evict_seed));
  if (before.empty()) return {};
  const auto gap = before.begin() + static_cast<std::ptrdiff_t>(std::min(FixedTokens(policy_), before.size()));
  dropped_.insert(dropped_.end(), gap, gap + (std::ssize(before) - sequence.length()));
  return {};
}

Status CacheEvictor::Compress(kvcache::KvSequence& sequence) {
  by_caller_ = true;
  budget_ = BudgetAfter(engine_, spec_, TextOf(sequence));
  next_ = TextOf(sequence);
  return EvictIfDue(sequence);
}

}  // namespace kvasir
