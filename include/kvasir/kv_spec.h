/// @file
/// How the cache stores keys and values, in the words of `--kv`, which are the same in settings, requests and receipts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"

namespace kvasir {

/// How keys and values are stored.
///
/// Pages of 64 tokens are written in an open format. Where codecs are named, a page is encoded by them once it lies
/// behind the recent tokens; the first tokens (attention sinks) stay open.
///
///     auto                                      f32 in exact mode, else f16; all pages open
///     f32  f16  q8  fp8_e4m3  fp8_e5m2          all pages open, in this format
///     nuq4                                      a codec for keys and values
///     k=nuq4,v=nuq3,outliers=1%,recent=128,sinks=4,open=f16
///     k=nuq3,v=nuq3,k[0-1]=ch5,v[29]=nuq4       layers of their own, counted from 0
///     auto:3.3bits                              bits by layer and by keys and values, 3.3 per element in the mean
///
/// What a codec is made of can be changed, one thing at a time, to see what it is worth (docs/kvquant.md):
///
///     nuq3,levels=even,outliers=0,rope=after    levels=fitted|even  weights=measured|even  ranges=page|static
///                                               rope=before|after   qnorm=on|off
///
/// With `evict`, heads forget tokens, and their memory is free: at the end of the prompt each head of a layer without a
/// window is brought down to the budget, and again whenever 256 more tokens have come.
///
///     f16,evict=snapkv,budget=1024              tokens per layer and head
///     nuq4,evict=h2o,budget=50%                 a share of the prompt
///     q8,evict=tova,budget=64M                  bytes of a sequence (K, M and G are powers of 1024)
///     f16,evict=random,budget=50%,seed=7        other lots than those of seed=1
struct KvSpec {
  /// Layers that differ from the rest.
  struct Layers {
    bool keys = false;  ///< Else values.
    int first = 0;      ///< The first layer, counted from 0.
    int last = 0;       ///< The last one, included.
    std::string codec;  ///< Instead of the one that the rest has.
    /// Field by field.
    friend bool operator==(const Layers&, const Layers&) = default;
  };

  /// What a codec does otherwise than by itself; unset: as it does by itself.
  struct Changes {
    std::optional<bool> fitted_levels;     ///< `levels`: fitted to the model by its calibration, or evenly spaced.
    std::optional<bool> measured_weights;  ///< `weights`: fitted by what errors cost, or all numbers alike.
    std::optional<bool> static_ranges;     ///< `ranges`: of keys by channel, from the calibration, or each page's own.
    std::optional<bool> before_rope;       ///< `rope`: whether keys are stored before RoPE, or after it.
    std::optional<bool> qnorm;             ///< `qnorm`: whether a page's mean and spread are kept (KVQuant's Q-Norm).
    /// Field by field.
    friend bool operator==(const Changes&, const Changes&) = default;
  };

  std::string open = "auto";  ///< The format of open pages; "auto" is f32 in exact mode, else f16.
  /// Bits per element, scales and all, that the pages behind the recent tokens may have in the mean; 0: the codecs
  /// below say. Needs a calibration of the model.
  double bits = 0;
  std::string keys;            ///< Codec of the keys behind the recent tokens; empty: all pages stay open.
  std::string values;          ///< And of the values; both or none.
  std::vector<Layers> layers;  ///< Those that have codecs of their own; where two name a layer, the later one counts.
  std::optional<double> outliers;  ///< Share of the elements that is kept exactly, 0 to 0.05.
  int recent = 128;                ///< Tokens at the end that stay open.
  int sinks = 4;                   ///< Tokens at the start that stay open, rounded up to whole pages.
  Changes changes;                 ///< Of all codecs that are named.
  std::string evict;               ///< The policy that says which tokens are forgotten; empty: none are.
  int budget_tokens = 0;           ///< Tokens that each layer and head keeps, or ...
  double budget_share = 0;         ///< ... their share of the prompt, up to 1, or ...
  /// ... the bytes that a sequence's pages may take, its recent tokens until the next eviction included. With `evict`
  /// one of the three, else none. Engine::options() says how many tokens that is.
  size_t budget_bytes = 0;
  uint64_t evict_seed = 1;  ///< `seed`: of a policy that draws lots.

  /// Whether pages behind the recent tokens are encoded.
  [[nodiscard]] bool compact() const { return bits > 0 || !keys.empty(); }
  /// Whether tokens are forgotten.
  [[nodiscard]] bool evicts() const { return !evict.empty(); }
  /// Whether a text may be longer than the context, because what is kept of it is numbered anew (`streaming`).
  [[nodiscard]] bool endless() const;
  /// The budget in tokens after a prompt of `tokens`; not where it is in bytes.
  [[nodiscard]] int BudgetOf(int tokens) const;
  /// The budget as a specification says it: "1024", "50%" or "64M".
  [[nodiscard]] std::string BudgetText() const;
  /// Field by field.
  friend bool operator==(const KvSpec&, const KvSpec&) = default;
};

/// The names that `evict` may have.
[[nodiscard]] std::vector<std::string> EvictionPolicyList();
/// Whether the policy `name` draws lots, so that KvSpec::evict_seed matters.
[[nodiscard]] bool EvictionDraws(std::string_view name);

/// The fewest tokens that a budget may be.
inline constexpr int kLeastBudgetTokens = 192;
inline constexpr int kMostBudgetTokens = 1 << 20;  ///< And the most.

/// Reads a specification. Where `budget` is not empty (`--kv-budget`), it is that of the eviction, whatever `text`
/// says. Errors: kInvalidArgument naming the part that is wrong and what there is.
[[nodiscard]] Result<KvSpec> ParseKvSpec(std::string_view text, std::string_view budget = {});
/// Whether `budget` is one. The error continues the sentence "--kv-budget ...".
[[nodiscard]] Status CheckKvBudget(std::string_view budget);
/// Its shortest spelling; ParseKvSpec gives the same specification for it.
[[nodiscard]] std::string KvSpecText(const KvSpec& spec);

}  // namespace kvasir
