// The sampling techniques by the book, for the tests: every definition as it is published, in double, with full sorts
// and no shortcut. It shares nothing with the code it checks except the tie rule (the lower id first).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace kvasir::sampling::naive {

struct Token {
  int32_t id = 0;
  double logit = 0;
  double probability = 0;
};

/// A distribution, most likely first. `slack` is how close a decision came to going the other way (in probability
/// or logit); a test with a slack near rounding proves nothing and is skipped.
struct Distribution {
  std::vector<Token> tokens;
  double slack = std::numeric_limits<double>::infinity();

  [[nodiscard]] std::set<int32_t> ids() const {
    std::set<int32_t> result;
    for (const Token& token : tokens) result.insert(token.id);
    return result;
  }
};

inline void Normalise(Distribution& d) {
  std::ranges::sort(d.tokens, [](const Token& a, const Token& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  });
  double total = 0;
  for (Token& token : d.tokens) {
    token.probability = std::exp(token.logit - d.tokens.front().logit);
    total += token.probability;
  }
  for (Token& token : d.tokens) token.probability /= total;
}

inline Distribution FromLogits(std::span<const float> logits) {
  Distribution d;
  for (size_t id = 0; id < logits.size(); ++id) {
    if (std::isfinite(logits[id])) d.tokens.push_back({static_cast<int32_t>(id), double{logits[id]}, 0});
  }
  Normalise(d);
  return d;
}

inline void Cut(Distribution& d, size_t count) {
  d.tokens.resize(std::min(count, d.tokens.size()));
  Normalise(d);
}

inline void TopK(Distribution& d, int k) {
  Cut(d, static_cast<size_t>(k));
}

/// Keeps the first tokens in the order given until their probabilities reach p, the crossing one included.
inline void KeepUntil(Distribution& d, double p) {
  double reached = 0;
  size_t count = 0;
  while (count < d.tokens.size()) {
    reached += d.tokens[count++].probability;
    d.slack = std::min(d.slack, std::abs(reached - p));
    if (reached >= p) break;
  }
  Cut(d, count);
}

inline void TopP(Distribution& d, double p) {
  KeepUntil(d, p);
}

inline void MinP(Distribution& d, double p) {
  const double bar = p * d.tokens.front().probability;
  std::erase_if(d.tokens, [&](const Token& token) {
    if (token.probability != d.tokens.front().probability) {
      d.slack = std::min(d.slack, std::abs(token.probability - bar) / bar);
    }
    return token.probability < bar && token.logit < d.tokens.front().logit;
  });
  Normalise(d);
}

inline void TypicalP(Distribution& d, double p) {
  double entropy = 0;
  for (const Token& token : d.tokens) {
    if (token.probability > 0) entropy -= token.probability * std::log(token.probability);
  }
  const auto distance = [&](const Token& token) { return std::abs(-std::log(token.probability) - entropy); };
  std::ranges::stable_sort(d.tokens, [&](const Token& a, const Token& b) { return distance(a) < distance(b); });
  // Two tokens on either side of the entropy and (nearly) as far from it could come in either order.
  for (size_t i = 1; i < d.tokens.size(); ++i) {
    if (d.tokens[i].logit != d.tokens[i - 1].logit) {
      d.slack = std::min(d.slack, distance(d.tokens[i]) - distance(d.tokens[i - 1]));
    } else if (d.tokens[i].id < d.tokens[i - 1].id) {
      std::swap(d.tokens[i], d.tokens[i - 1]);
    }
  }
  KeepUntil(d, p);
}

inline void TopNSigma(Distribution& d, double n) {
  double mean = 0;
  for (const Token& token : d.tokens) mean += token.logit / static_cast<double>(d.tokens.size());
  double variance = 0;
  for (const Token& token : d.tokens) {
    variance += (token.logit - mean) * (token.logit - mean) / static_cast<double>(d.tokens.size());
  }
  const double bar = d.tokens.front().logit - n * std::sqrt(variance);
  std::erase_if(d.tokens, [&](const Token& token) {
    d.slack = std::min(d.slack, std::abs(token.logit - bar));
    return token.logit < bar;
  });
  Normalise(d);
}

/// XTC in the case that it acts.
inline void Xtc(Distribution& d, double threshold) {
  size_t above = 0;
  for (const Token& token : d.tokens) {
    above += token.probability >= threshold ? 1 : 0;
    d.slack = std::min(d.slack, std::abs(token.probability - threshold));
  }
  if (above >= 2) d.tokens.erase(d.tokens.begin(), d.tokens.begin() + static_cast<std::ptrdiff_t>(above - 1));
  Normalise(d);
}

inline void Temperature(Distribution& d, double temperature) {
  for (Token& token : d.tokens) token.logit /= temperature;
  Normalise(d);
}

inline void Penalties(Distribution& d, std::span<const int32_t> history, int last_n, double repeat, double presence,
                      double frequency) {
  const size_t window = last_n < 0 ? history.size() : std::min(history.size(), static_cast<size_t>(last_n));
  for (Token& token : d.tokens) {
    const auto seen = std::ranges::count(history.last(window), token.id);
    if (seen == 0) continue;
    token.logit = token.logit > 0 ? token.logit / repeat : token.logit * repeat;
    token.logit -= presence + frequency * static_cast<double>(seen);
  }
  Normalise(d);
}

/// The DRY penalty of each token, by trying every place and every length. `texts` are the texts of the tokens. The
/// repeated part may hold no byte of a breaker's end: it must lie after the last one.
inline std::map<int32_t, double> DryPenalties(std::span<const int32_t> history, std::span<const std::string> texts,
                                              std::span<const std::string> breakers, double multiplier, double base,
                                              int allowed, int last_n) {
  std::string text;
  std::vector<size_t> ends;  // the end of each token in the text
  for (const int32_t token : history) {
    text += texts[static_cast<size_t>(token)];
    ends.push_back(text.size());
  }
  size_t break_end = 0;
  for (const std::string& breaker : breakers) {
    const size_t at = text.rfind(breaker);
    if (at != std::string::npos) break_end = std::max(break_end, at + breaker.size());
  }
  size_t free_tokens = 0;  // tokens that begin at or after the end of the last breaker
  while (free_tokens < history.size()) {
    const size_t before = history.size() - free_tokens - 1;  // tokens before the one that is looked at
    if ((before == 0 ? 0 : ends[before - 1]) < break_end) break;
    ++free_tokens;
  }

  const size_t window = last_n < 0 ? history.size() : std::min(history.size(), static_cast<size_t>(last_n));
  const std::span<const int32_t> recent = history.last(window);
  std::map<int32_t, double> penalties;
  for (size_t next = 1; next < window; ++next) {  // recent[next] followed an earlier occurrence that ends before it
    for (size_t length = 1; length <= std::min(next, free_tokens); ++length) {
      const auto earlier = recent.subspan(next - length, length);
      if (!std::ranges::equal(earlier, recent.last(length))) break;
      if (static_cast<int>(length) < allowed) continue;
      double& penalty = penalties[recent[next]];
      penalty = std::max(penalty, multiplier * std::pow(base, static_cast<double>(length) - allowed));
    }
  }
  return penalties;
}

/// The value that a chi-square of `degrees` of freedom exceeds once in 1000 times (Wilson and Hilferty).
inline double ChiSquareLimit(int degrees) {
  const double k = 2.0 / (9.0 * degrees);
  return degrees * std::pow(1.0 - k + 3.0902 * std::sqrt(k), 3);
}

}  // namespace kvasir::sampling::naive
