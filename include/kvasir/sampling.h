/// @file
/// How the next token is chosen: the options of one request, and their check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvasir/result.h"

namespace kvasir {

/// The default order of the stages, which is llama.cpp's with the logit bias named as its first stage:
/// logit_bias, penalties, dry, top_n_sigma, top_k, typical_p, top_p, min_p, xtc, temperature.
[[nodiscard]] std::vector<std::string> DefaultSamplingOrder();

/// How one request turns logits into tokens. A plain value: fill it, pass it to Validate, hand it over.
///
/// The logits go through the stages of `order`; what is left is drawn from at random. Each stage is off
/// unless its own options turn it on. The defaults are llama.cpp's. "Probability" below means the softmax of
/// what the earlier stages left, so the order matters and is printed with the result.
struct SamplingOptions {
  /// Divides the logits. 0 to 100; 1 = the model's own distribution, less is safer, more is wilder.
  /// 0 (and anything below 1e-5) = greedy: the most likely token, the lowest id on a tie, whatever the order;
  /// logit_bias, penalties and dry still count, the stages that remove tokens are skipped.
  float temperature = 0.8F;

  /// Keeps the `top_k` most likely tokens. 0 = off; any larger count is allowed.
  int32_t top_k = 40;

  /// Nucleus: keeps the fewest most likely tokens whose probabilities reach `top_p`, the one that crosses it
  /// included. 0 to 1; 1 = off, 0 = only the most likely token.
  float top_p = 0.95F;

  /// Removes tokens less likely than `min_p` times the most likely one. 0 to 1; 0 = off.
  float min_p = 0.05F;

  /// Locally typical sampling: keeps the tokens whose surprise is nearest to the entropy, until their
  /// probabilities reach `typical_p`. 0 to 1; 1 = off.
  float typical_p = 1.0F;

  /// Removes tokens whose logit lies more than this many standard deviations of all logits below the
  /// greatest. 0 to 1000; 0 = off.
  float top_n_sigma = 0.0F;

  /// XTC: with this probability at each token, every token at least `xtc_threshold` likely is removed, the
  /// least likely of them excepted. 0 to 1; 0 = off.
  float xtc_probability = 0.0F;
  /// The probability that makes a token an obvious choice for XTC. 0 to 1; above 0.5 XTC never acts.
  float xtc_threshold = 0.1F;

  /// DRY: a token that would prolong a repetition of `n` tokens, n >= dry_allowed_length, loses
  /// `dry_multiplier * dry_base^(n - dry_allowed_length)` from its logit. 0 to 1000; 0 = off.
  float dry_multiplier = 0.0F;
  /// 1 to 100.
  float dry_base = 1.75F;
  /// In tokens, 0 or more: the longest repetition that costs nothing is one token shorter.
  int32_t dry_allowed_length = 2;
  /// In tokens: how far back to look. -1 = everything, 0 = off.
  int32_t dry_penalty_last_n = -1;
  /// A repetition does not reach back over a text that contains one of these. None may be empty.
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  /// 0 = off, 2 = mirostat version 2, which then replaces top_n_sigma, top_k, typical_p, top_p, min_p and xtc.
  int32_t mirostat = 0;
  /// The surprise to hold, in bits per token. 0 to 100.
  float mirostat_tau = 5.0F;
  /// The learning rate, 0 to 1.
  float mirostat_eta = 0.1F;

  /// A token seen in the last `repeat_last_n` tokens has a positive logit divided, a negative one multiplied
  /// by this. 0.01 to 100; 1 = off.
  float repeat_penalty = 1.0F;
  /// In tokens, prompt included: the window of all three penalties. -1 = everything, 0 = off.
  int32_t repeat_last_n = 64;
  /// Subtracted once from the logit of a token seen in the window. -100 to 100; 0 = off.
  float presence_penalty = 0.0F;
  /// Subtracted for each time that a token is seen in the window. -100 to 100; 0 = off.
  float frequency_penalty = 0.0F;

  /// Pairs (token id, added to its logit). -1e6 to 1e6, or minus infinity, which bans the token. Several
  /// entries for one token add up.
  std::vector<std::pair<int32_t, float>> logit_bias;

  /// With the same seed, options, prompt and logits the text is the same, whatever the number of threads.
  /// Not set = a random seed, which the sampler reports.
  std::optional<uint64_t> seed;

  /// The stages that run, first to last, each at most once; one left out does not run, except logit_bias, which
  /// then comes first. Other spellings taken by ParseSamplingOrder are not accepted here. The final draw (or
  /// mirostat) always comes last and is not named.
  std::vector<std::string> order = DefaultSamplingOrder();

  /// How many most likely tokens to report with each chosen one (natural log of the model's own
  /// probabilities, before any stage). 0 = none. Has no influence on the choice.
  int32_t n_probs = 0;
};

/// Checks every field, those of stages that are off included. The error names the field, its value and what is
/// allowed. `vocab_size` bounds the ids in logit_bias and n_probs; 0 = not known yet, those bounds are not checked.
[[nodiscard]] Status Validate(const SamplingOptions& options, int vocab_size);

/// Reads an order such as "penalties;top_k;temperature", separated by ';', ',' or white space. Takes other common
/// spellings too (typ_p, temp, top-k, nucleus...) and gives the canonical ones. An unknown or repeated name is an error
/// that lists the known names; the empty text is the empty order (a plain draw at temperature 1).
[[nodiscard]] Result<std::vector<std::string>> ParseSamplingOrder(std::string_view text);

/// The inverse: names joined by ';'.
[[nodiscard]] std::string FormatSamplingOrder(const std::vector<std::string>& order);

}  // namespace kvasir
