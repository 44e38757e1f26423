#include "eval/branches.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "engine/step.h"
#include "kvasir/inspect.h"

namespace kvasir::eval {
namespace {

KvSpec WithoutEviction(KvSpec spec) {
  spec.evict.clear();
  spec.budget_tokens = 0;
  spec.budget_share = 0;
  spec.budget_bytes = 0;
  spec.evict_seed = KvSpec{}.evict_seed;
  return spec;
}

// All that any of `caches` needs recorded.
kvcache::EvictionNeeds NeedsOf(std::span<const KvSpec> caches) {
  kvcache::EvictionNeeds all;
  for (const KvSpec& spec : caches) {
    if (!spec.evicts()) continue;
    const auto policy = kvcache::FindEvictionPolicy(spec.evict);
    KV_CHECK(policy.has_value());  // PlanCache has checked it
    const kvcache::EvictionNeeds needs = (*policy)->needs();
    all.window_queries = std::max(all.window_queries, needs.window_queries);
    all.query_statistics |= needs.query_statistics;
    all.attention_mass |= needs.attention_mass;
  }
  return all;
}

}  // namespace

Result<Branches> Branches::Create(std::shared_ptr<Engine> engine, std::span<const KvSpec> caches) {
  Engine::Impl& impl = engine->impl();
  kvcache::KvOptions options = impl.kv_options;
  std::vector<KvSpec> specs;  // with budgets in tokens
  for (const KvSpec& given : caches) {
    const KvSpec spec = ResolveKvSpec(given, impl.options.compute);
    if (WithoutEviction(spec) != WithoutEviction(impl.options.kv)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the cache {} is not stored like {}, so the two cannot begin with the same pages",
                              KvSpecText(spec), KvSpecText(impl.options.kv)));
    }
    KV_ASSIGN(CachePlan own, PlanCache(spec, impl.gguf, impl.model->config(), impl.kv_shape, impl.options.model,
                                       impl.options.context_tokens));
    options.recent = std::min(options.recent, own.options.recent);
    specs.push_back(std::move(own.spec));
  }
  KV_ASSIGN(kvcache::KvSequence trunk, kvcache::KvSequence::Create(*impl.pages, impl.kv_shape, options));
  Branches made(std::move(engine), std::move(trunk));
  for (KvSpec& spec : specs) {
    made.branches_.push_back({.spec = std::move(spec), .sequence = {}, .evictor = nullptr});
  }
  if (const kvcache::EvictionNeeds needs = NeedsOf(caches); needs.any()) {
    made.record_.emplace(impl.kv_shape, needs, impl.attention, impl.pool, made.trunk_.options().compact.get());
  }
  return made;
}

Status Branches::Grow(std::span<const int32_t> tokens) {
  for (size_t branch = 0; branch < size(); ++branch) End(branch);
  KV_TRY(trunk_.Truncate(0));
  if (record_) record_->Reset();
  while (!tokens.empty()) {
    const size_t room = std::min(static_cast<size_t>(kMaxBatchRows), static_cast<size_t>(trunk_.RoomInStep()));
    const size_t count = std::min(tokens.size(), room);
    KV_TRY(trunk_.Extend(tokens.first(count)));
    const StepRows rows{.sequence = &trunk_,
                        .first_logits = static_cast<int>(count),
                        .on_logits = {},
                        .record = record_ ? &*record_ : nullptr};
    KV_TRY(RunStep(engine_->impl(), {&rows, 1}, nullptr));
    if (record_) record_->Commit();
    tokens = tokens.subspan(count);
  }
  return {};
}

Status Branches::Start(size_t branch) {
  Branch& started = branches_[branch];
  started.sequence.emplace(trunk_.Fork());
  Engine::Impl& engine = engine_->impl();
  KV_ASSIGN(started.evictor,
            CacheEvictor::Create(engine, started.spec, trunk_.options().compact.get(), engine.options.context_tokens));
  if (started.evictor == nullptr) return {};
  started.evictor->TakeOver(record_ ? &*record_ : nullptr);
  return started.evictor->Compress(*started.sequence);
}

double Branches::tokens_held(size_t branch) const {
  const kvcache::KvSequence& sequence = *branches_[branch].sequence;
  const auto blocks = static_cast<int32_t>(kvcache::BlocksFor(sequence.committed()));
  const kvcache::KvShape& shape = sequence.shape();
  double tokens = 0;
  int heads = 0;
  for (int layer = 0; layer < shape.layers; ++layer) {
    if (shape.window(layer) > 0) continue;
    for (int head = 0; head < shape.kv_heads; ++head, ++heads) {
      tokens += static_cast<double>(sequence.HeldPositions(layer, head, blocks).size());
    }
  }
  return heads == 0 ? 1 : tokens / heads / trunk_.committed();
}

// How many of its `remaining` tokens a branch may bring to a step that has room for `room` rows.
int Branches::Take(const Branch& branch, size_t remaining, int room) const {
  int count = std::min({static_cast<int>(remaining), room, branch.sequence->RoomInStep()});
  if (count > 0 && branch.evictor) count = std::min(count, branch.evictor->RoomInStep(*branch.sequence));
  return count;
}

Status Branches::Run(std::span<const Work> work, const OnLogits& on_logits) {
  std::vector<size_t> done(work.size());
  while (true) {
    std::vector<StepRows> rows;
    std::vector<size_t> taken;
    int room = kMaxBatchRows;
    for (size_t i = 0; i < work.size(); ++i) {
      Branch& branch = branches_[work[i].branch];
      const size_t begin = done[i];
      const int count = Take(branch, work[i].tokens.size() - begin, room);
      if (count == 0) continue;
      KV_TRY(branch.sequence->Extend(work[i].tokens.subspan(begin, static_cast<size_t>(count))));
      rows.push_back({.sequence = &*branch.sequence,
                      .first_logits = std::clamp(work[i].first_logits - static_cast<int>(begin), 0, count),
                      .on_logits =
                          [&on_logits, i, begin](int index, std::span<const float> logits) {
                            on_logits(i, static_cast<int>(begin) + index, logits);
                          },
                      .record = branch.evictor ? branch.evictor->record() : nullptr});
      taken.push_back(i);
      done[i] += static_cast<size_t>(count);
      room -= count;
    }
    if (rows.empty()) return {};
    KV_TRY(RunStep(engine_->impl(), rows, nullptr));
    for (const size_t i : taken) {
      const Branch& branch = branches_[work[i].branch];
      if (branch.evictor == nullptr) continue;
      branch.evictor->OnStep();
      KV_TRY(branch.evictor->EvictIfDue(*branches_[work[i].branch].sequence));
    }
  }
}

Result<size_t> BranchBytes(const EngineOptions& options, std::span<const KvSpec> caches) {
  const KvSpec whole = WithoutEviction(options.kv);
  EngineOptions sized = options;
  KV_ASSIGN(const std::vector<CacheSize> trunk, InspectCaches(sized, {&whole, 1}));
  size_t bytes = trunk.front().peak_bytes;
  KV_ASSIGN(const std::vector<CacheSize> evicted, InspectCaches(options, caches));
  for (const CacheSize& size : evicted) {
    // A step's rows behind what is kept; a budget may be divided so that pages of every head are partly filled.
    const int kept = size.kv.evicts() ? size.kept_tokens + kEvictionSlack : 0;
    sized.context_tokens = std::min(options.context_tokens, kept + kMaxBatchRows + 2 * kernels::kPageTokens);
    KV_ASSIGN(const std::vector<CacheSize> branch, InspectCaches(sized, {&whole, 1}));
    bytes += branch.front().peak_bytes + size.record_bytes;
  }
  return bytes;
}

}  // namespace kvasir::eval
