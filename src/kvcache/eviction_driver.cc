// From scores to tokens that are gone.
//
// What all techniques share is here: the first tokens and the recent ones stay, the rest is ranked, and only whole
// pages behind the recent tokens are touched, so that the open page is never moved. The papers keep the same; they
// differ in the scores and in how a budget is divided, which is what a policy says. A policy that renumbers has no
// scores: its choice is the same everywhere, and that is a context shift.
#include "kvcache/eviction_driver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace kvasir::kvcache {
namespace {

// The heads of one layer under eviction.
struct Layer {
  int layer = 0;
  int32_t end_block = 0;
  uint64_t seed = 1;
  std::vector<std::vector<int32_t>> positions;  // [KVH] of all tokens held
  std::vector<int> candidates;                  // [KVH] tokens before end_block
  std::vector<std::vector<float>> scores;       // [KVH][candidates]
};

void ScoreHead(const KvSequence& sequence, const EvictionPolicy& policy, const AttentionTraits& traits,
               EvictionRecords* records, Layer& work, int head) {
  const auto h = static_cast<size_t>(head);
  std::vector<float> keys, values;
  sequence.ReadHead(work.layer, head, static_cast<int32_t>(BlocksFor(sequence.committed())), &keys, &values);
  const HeadRecord record = records == nullptr ? HeadRecord{} : records->Read(work.layer, head);
  const int rope = traits.rope_of_layer[static_cast<size_t>(work.layer)];
  const HeadEvidence evidence = {.layer = work.layer,
                                 .kv_head = head,
                                 .head_dim = sequence.shape().head_dim,
                                 .group = traits.heads / sequence.shape().kv_heads,
                                 .scale = traits.scale,
                                 .softcap = traits.softcap,
                                 .length = sequence.committed(),
                                 .candidates = work.candidates[h],
                                 .seed = work.seed,
                                 .positions = work.positions[h],
                                 .keys = keys,
                                 .values = values,
                                 .queries = record.queries,
                                 .query_positions = record.query_positions,
                                 .attention_mass = record.attention_mass,
                                 .query_mean = record.query_mean,
                                 .query_covariance = record.query_covariance,
                                 .rope = &traits.ropes[static_cast<size_t>(rope)]};
  work.scores[h].resize(static_cast<size_t>(work.candidates[h]));
  policy.Score(evidence, work.scores[h]);
}

int CountSinks(std::span<const int32_t> positions, int sinks) {
  return static_cast<int>(std::ranges::lower_bound(positions, sinks) - positions.begin());
}

// Which places of each head stay when each keeps `budget` tokens on average.
std::vector<std::vector<int32_t>> Choose(const EvictionPolicy& policy, const Layer& work, int budget) {
  const int sinks = policy.sinks();
  const size_t heads = work.positions.size();
  // Only what is ranked is divided.
  std::vector<std::vector<float>> ranked;
  int each = std::numeric_limits<int>::max();
  for (size_t h = 0; h < heads; ++h) {
    const int first = std::min(CountSinks(work.positions[h], sinks), work.candidates[h]);
    ranked.emplace_back(work.scores[h].begin() + first, work.scores[h].end());
    const int recent = static_cast<int>(work.positions[h].size()) - work.candidates[h];
    each = std::min(each, std::max(0, budget - first - recent));
  }
  const std::vector<int> counts = policy.DivideHeads(ranked, each);
  KV_CHECK(counts.size() == heads);
  std::vector<std::vector<int32_t>> kept;
  for (size_t h = 0; h < heads; ++h) {
    const auto candidates = static_cast<size_t>(work.candidates[h]);
    kept.push_back(ChoosePlaces(std::span(work.positions[h]).first(candidates), work.scores[h], sinks, counts[h]));
  }
  return kept;
}

Status EvictLayer(KvSequence& sequence, const EvictionPolicy& policy, const AttentionTraits& traits, int budget,
                  EvictionRecords* records, base::ThreadPool& pool, Layer& work) {
  const int heads = sequence.shape().kv_heads;
  const auto all_blocks = static_cast<int32_t>(BlocksFor(sequence.committed()));
  int64_t held = 0;
  for (int head = 0; head < heads; ++head) {
    work.positions.push_back(sequence.HeldPositions(work.layer, head, all_blocks));
    held += static_cast<int64_t>(work.positions.back().size());
    const auto before = std::ranges::lower_bound(work.positions.back(), work.end_block * kernels::kPageTokens);
    work.candidates.push_back(static_cast<int>(before - work.positions.back().begin()));
  }
  if (held <= static_cast<int64_t>(budget) * heads) return {};
  work.scores.resize(static_cast<size_t>(heads));
  pool.ForDynamic(heads, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t head = begin; head < end; ++head) {
      ScoreHead(sequence, policy, traits, records, work, static_cast<int>(head));
    }
  });
  policy.Agree(work.scores);
  const std::vector<std::vector<int32_t>> kept = Choose(policy, work, budget);
  bool all = true;
  for (size_t h = 0; h < kept.size(); ++h) all = all && kept[h].size() == static_cast<size_t>(work.candidates[h]);
  if (all) return {};
  KV_TRY(sequence.Evict(work.layer, work.end_block, kept));
  if (records != nullptr) records->Keep(work.layer, work.candidates, kept);
  return {};
}

// Drops what is over the budget behind the sinks, and moves the rest down.
Status Renumber(KvSequence& sequence, const EvictionPolicy& policy, const AttentionTraits& traits, int budget) {
  const int64_t drop = TokensToDrop(policy, sequence.shape(), sequence.committed(), budget, sequence.options().recent);
  if (drop == 0) return {};
  KV_TRY(sequence.ShiftContext(policy.sinks(), static_cast<int32_t>(drop), TurnKeysBy(traits)));
  sequence.StopObserving();
  return {};
}

}  // namespace

RotateKey TurnKeysBy(const AttentionTraits& traits) {
  struct Turn {
    int32_t delta = 0;
    std::vector<float> cos, sin;  // [n_rot/2] of `delta`, once it was asked for
  };
  return [&traits, turns = std::vector<Turn>(traits.ropes.size())](int layer, float* key, int32_t delta) mutable {
    const auto index = static_cast<size_t>(traits.rope_of_layer[static_cast<size_t>(layer)]);
    const KeyRope& rope = traits.ropes[index];
    Turn& turn = turns[index];
    if (turn.delta != delta) {
      turn = {.delta = delta, .cos = {}, .sin = {}};
      for (const double frequency : rope.frequencies) {
        turn.cos.push_back(static_cast<float>(std::cos(delta * frequency)));
        turn.sin.push_back(static_cast<float>(std::sin(delta * frequency)));
      }
    }
    if (delta == 0) return;
    kernels::TableOf(kernels::ChosenIsa())
        .rope(key, turn.cos.data(), turn.sin.data(), static_cast<int>(2 * turn.cos.size()), rope.neox);
  };
}

int LeastBudget(const EvictionPolicy& policy, const KvShape& shape) {
  if (!policy.renumbers() || shape.windows.empty()) return 0;
  const int window = std::ranges::max(shape.windows);
  // The page of the sinks, the window, and as much as whole pages may take too much.
  return window == 0 ? 0 : static_cast<int>(BlocksFor(policy.sinks()) + 1) * kernels::kPageTokens + window;
}

int64_t TokensToDrop(const EvictionPolicy& policy, const KvShape& shape, int64_t length, int budget, int recent) {
  const auto whole_pages = [](int64_t tokens) { return tokens / kernels::kPageTokens * kernels::kPageTokens; };
  const int64_t sinks = BlocksFor(policy.sinks()) * kernels::kPageTokens;
  const int64_t over = length - std::max(budget, LeastBudget(policy, shape));
  const int64_t can_go = whole_pages(length - sinks - recent);
  return std::max<int64_t>(0, std::min(whole_pages(over + kernels::kPageTokens - 1), can_go));
}

std::vector<int32_t> ChoosePlaces(std::span<const int32_t> positions, std::span<const float> scores, int sinks,
                                  int count) {
  KV_CHECK(positions.size() == scores.size());
  const int first = CountSinks(positions, sinks);
  std::vector<int32_t> places(positions.size());
  std::iota(places.begin(), places.end(), 0);
  const auto ranked = std::span(places).subspan(static_cast<size_t>(first));
  const size_t stay = std::min(static_cast<size_t>(std::max(count, 0)), ranked.size());
  const auto score = [&](int32_t place) {
    const float value = scores[static_cast<size_t>(place)];
    return std::isnan(value) ? -std::numeric_limits<float>::infinity() : value;
  };
  std::ranges::nth_element(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(stay),
                           [&](int32_t a, int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a > b; });
  places.resize(static_cast<size_t>(first) + stay);
  std::ranges::sort(places);
  return places;
}

Status EvictToBudget(KvSequence& sequence, const EvictionPolicy& policy, const AttentionTraits& traits, int budget,
                     EvictionRecords* records, base::ThreadPool& pool, uint64_t seed) {
  KV_CHECK(records != nullptr || !policy.needs().any());
  if (policy.renumbers()) return Renumber(sequence, policy, traits, budget);
  const KvShape& shape = sequence.shape();
  std::vector<int> layers;
  for (int layer = 0; layer < shape.layers; ++layer) {
    if (shape.window(layer) == 0) layers.push_back(layer);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    const int of_layer =
        policy.LayerBudget(budget, sequence.committed(), static_cast<int>(i), static_cast<int>(layers.size()));
    Layer work = {.layer = layers[i], .end_block = sequence.EvictableBlocks(policy.Recent(of_layer)), .seed = seed};
    KV_TRY(EvictLayer(sequence, policy, traits, of_layer, records, pool, work));
  }
  return {};
}

}  // namespace kvasir::kvcache
