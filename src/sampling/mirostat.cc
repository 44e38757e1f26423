// Mirostat version 2. Problem: with a fixed top-k or top-p a long text drifts into boredom (surprise falls) or
// confusion (surprise rises). Idea: measure the surprise -log2 p of each chosen token and steer the cut. With mu the
// greatest surprise allowed: remove the tokens with -log2 p > mu, draw from the rest, then mu -= eta * (surprise -
// tau). Source: Basu, Ramachandran, Keskar, Varshney, "Mirostat: A Neural Text Decoding Algorithm that Directly
// Controls Perplexity", ICLR 2021 (arXiv:2007.14966); version 2 cuts by surprise itself where version 1 estimates a
// top-k for it.
//
// The surprise fed back is, as in the paper, that under the distribution before the cut: its average is what tau
// promises. (llama.cpp takes it after renormalising the rest, which is less, so it settles on a higher mu.)
#include "sampling/mirostat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kvasir::sampling {

int32_t Mirostat::Choose(Candidates& candidates, double u) {
  chosen_ = -1;
  const float max = candidates.MaxLogit();
  if (max == kImpossible) return -1;
  const double log_total = double{max} + std::log(candidates.SumWeights(max));
  // The most likely token stays even if it is too surprising.
  candidates.KeepAtLeast(std::min(double{max}, log_total - mu_ * std::numbers::ln2));
  chosen_ = candidates.DrawAt(u);
  const std::vector<Candidate>& list = candidates.List();
  const auto chosen = std::ranges::find(list, chosen_, &Candidate::id);
  surprise_ = (log_total - double{chosen->logit}) / std::numbers::ln2;
  return chosen_;
}

void Mirostat::Accept(int32_t token) {
  if (chosen_ >= 0 && token == chosen_) mu_ -= eta_ * (surprise_ - tau_);
  chosen_ = -1;
}

std::string Mirostat::Describe() const {
  return fmt::format("mirostat2(tau {}, eta {})", static_cast<float>(tau_), static_cast<float>(eta_));
}

}  // namespace kvasir::sampling
