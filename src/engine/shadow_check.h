// What a cache's attention is worth, measured on the requests of a running server.
//
// The problem: a cache that was chosen by its figures on some text may do worse on what users send. The idea: of a few
// heads of a few requests, keys and values are kept as f32 beside the cache, and now and then the attention of a
// generated token is computed over them as well. The relative distance of the two results is what the cache (its open
// format, its codec, its eviction) costs there, with the queries as the model had them at that moment.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "engine/engine_impl.h"
#include "kvasir/scheduler.h"
#include "ops/batch.h"
#include "ops/operators.h"

namespace kvasir {

/// One sequence's. On the thread of the forward pass.
class ShadowCheck {
 public:
  /// Heads that are watched at once.
  static constexpr int kHeads = 4;
  /// Every so many positions a generated token is compared.
  static constexpr int kEvery = 8;

  /// For a sequence of `engine`, which must outlive it, the `number`-th that is checked: others watch other heads. Null
  /// where every layer has a sliding window.
  [[nodiscard]] static std::unique_ptr<ShadowCheck> Create(const Engine::Impl& engine, int64_t number);

  /// Keeps the keys and values of one layer's rows: k and v [num_rows, KVH, D], rotated. A position that comes again
  /// takes the place of what was there, so that steps may be given up, and sequences computed anew.
  void OnKeys(const ops::SequenceRows& rows, std::span<const int32_t> positions, const ops::AttentionSpec& spec,
              const float* k, const float* v);
  /// Compares one layer's attention: q and out [num_rows, H, D], q not scaled. Prompts are not compared.
  void OnAttention(const ops::SequenceRows& rows, std::span<const int32_t> positions, const ops::AttentionSpec& spec,
                   const float* q, const float* out);

  /// Adds what was found since the last call to `stats`.
  void Report(ShadowStats& stats);
  /// Forgets it: the step was given up.
  void Discard() { distances_.clear(); }

 private:
  struct Head {
    int layer = 0;
    int kv_head = 0;
    std::vector<base::AlignedBuffer> pages;  // f32
  };

  ShadowCheck() = default;

  void Compare(const Head& head, int32_t position, const ops::AttentionSpec& spec, const float* q, const float* out);

  std::vector<Head> heads_;
  std::vector<double> distances_;
};

}  // namespace kvasir
