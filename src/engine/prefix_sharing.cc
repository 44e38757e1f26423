// Where a request starts from: the longest beginning that the prefix index holds, or that somebody is computing.
//
// The problem: requests with a common beginning often arrive together, before any of them has computed it. The idea: a
// request whose next block is among those that a running request is about to compute waits for it, and is admitted when
// it can share it. It waits no longer than computing it would take, the machine does the work once, and nothing can
// stand still, because whoever is waited for runs.

#include <algorithm>

#include "engine/cache_evictor.h"
#include "engine/scheduler_impl.h"

namespace kvasir {
namespace {

using kernels::kPageTokens;

// Brings the hashes of the full blocks of `tokens` up to date; known ones stay.
void HashBlocks(std::span<const int32_t> tokens, const kvcache::BlockHash& root,
                std::vector<kvcache::BlockHash>& hashes) {
  for (size_t block = hashes.size(); (block + 1) * kPageTokens <= tokens.size(); ++block) {
    const kvcache::BlockHash& parent = block == 0 ? root : hashes[block - 1];
    hashes.push_back(kvcache::ChainHash(parent, tokens.subspan(block * kPageTokens, kPageTokens)));
  }
}

}  // namespace

// How many tokens may be taken from the index without computing them.
int Scheduler::Impl::Reusable(const ScheduledRequest& request) const {
  if (request.shadow) return 0;  // it has to see all keys and values
  const Generator& generator = request.generator;
  return CacheEvictor::ReusableOfOthers(engine, generator.reusable(), static_cast<int>(generator.prompt().size()));
}

kvcache::PrefixMatch Scheduler::Impl::FindPrefix(ScheduledRequest& request) {
  if (!options.prefix_cache) return {};
  const std::span<const int32_t> tokens = request.generator.tokens();
  const kvcache::BlockHash root = kvcache::RootHash(request.kv_options, engine.kv_shape);
  HashBlocks(tokens, root, request.block_hashes);
  return prefixes.Match(root, tokens, Reusable(request));
}

// Whether a running request is about to compute the block behind `match`. Notes which.
bool Scheduler::Impl::IsBeingComputed(ScheduledRequest& request, const kvcache::PrefixMatch& match) {
  const auto block = static_cast<size_t>(match.length) / kPageTokens;
  if ((block + 1) * kPageTokens > static_cast<size_t>(Reusable(request))) return false;
  for (const auto& other : running) {
    if (block >= other->block_hashes.size() || other->block_hashes[block] != request.block_hashes[block]) continue;
    request.computes_for_us = other->id;
    request.awaited_block = block;
    if (StillBeingComputed(request)) return true;
  }
  return false;
}

// Whether what IsBeingComputed noted is still to come. Cheap, because it is asked for every such request at every step.
bool Scheduler::Impl::StillBeingComputed(const ScheduledRequest& request) const {
  const auto other =
      std::ranges::find_if(running, [&](const auto& item) { return item->id == request.computes_for_us; });
  // What is computed after an eviction is not shared.
  return other != running.end() && (*other)->sequence->whole() &&
         (*other)->sequence->sealed().size() <= request.awaited_block;
}

CacheReport Scheduler::Impl::Explain(const ScheduledRequest& request, const kvcache::PrefixMatch& match) const {
  const auto reason = [&] {
    if (!options.prefix_cache) return CacheMiss::kDisabled;
    if (request.generator.request().prompt_logprobs) return CacheMiss::kPromptLogprobs;
    if (request.shadow) return CacheMiss::kShadowCheck;
    if (match.length == Reusable(request) && match.length < request.generator.reusable()) return CacheMiss::kEviction;
    switch (match.end) {
      case kvcache::MatchEnd::kLimit: return CacheMiss::kNone;
      case kvcache::MatchEnd::kDiverged: return CacheMiss::kDiverged;
      case kvcache::MatchEnd::kNotHeld: break;
    }
    return CacheMiss::kNotHeld;
  };
  return {.matched_tokens = match.length, .reason = reason()};
}

}  // namespace kvasir
