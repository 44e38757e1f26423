// DRY ("don't repeat yourself"): stops the model from going round in loops without touching single words.
//
// A token x is penalised if it would prolong a repetition: the last n tokens have occurred before, and x came right
// after them then. Its logit loses multiplier * base^(n - allowed_length) for the longest such n >= allowed_length. The
// definition is p-e-w's (oobabooga/text-generation-webui pull request 5677).
//
// To find all n at once, reverse the window: "the last n tokens occurred before" becomes "the reversed window has at
// i the same n tokens as at 0", which is the Z function, computed in one linear pass (Gusfield, "Algorithms on
// Strings, Trees and Sequences", 1.3-1.4). A repetition may not reach back over a sequence breaker, a string such as a
// line break. All that matters of the breakers is where the last one ended: what lies after it bounds n, in the old
// occurrence too, since the tokens there are the same. That is tracked in the text itself as tokens arrive, so a
// breaker may also lie across tokens or inside one, and no table over the vocabulary is needed.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

/// Counts the tokens that came after the last sequence breaker in a growing text.
class BreakerScanner {
 public:
  explicit BreakerScanner(std::vector<std::string> breakers) : breakers_(std::move(breakers)) {
    for (const std::string& breaker : breakers_) {
      longest_ = std::max(longest_, breaker.size());
    }
  }

  [[nodiscard]] size_t tokens_since_break() const { return tokens_since_break_; }

  [[nodiscard]] bool has_breakers() const { return !breakers_.empty(); }
  [[nodiscard]] size_t breaker_count() const { return breakers_.size(); }

  /// One more token was appended, whose text is `text`.
  void Accept(std::string_view text) {
    ++tokens_since_break_;
    const size_t old_size = tail_.size();
    tail_ += text;
    if (EndsAfter(old_size)) tokens_since_break_ = 0;
    // A breaker that ends in the next token begins at most longest_ - 1 bytes before it.
    if (longest_ > 0 && tail_.size() >= longest_) tail_.erase(0, tail_.size() - (longest_ - 1));
  }

 private:
  /// Whether a breaker lies in the tail that ends after its first `old_size` bytes.
  [[nodiscard]] bool EndsAfter(size_t old_size) const {
    return std::any_of(breakers_.begin(), breakers_.end(), [&](const std::string& breaker) {
      const size_t first = old_size < breaker.size() ? 0 : old_size - breaker.size() + 1;
      return tail_.find(breaker, first) != std::string::npos;
    });
  }

  std::vector<std::string> breakers_;
  size_t longest_ = 0;
  std::string tail_;
  size_t tokens_since_break_ = 0;
};

/// z[i] = how many items are equal in items[0..] and items[i..]; z[0] is 0 here, it is of no use.
std::vector<size_t> ZFunction(std::span<const int32_t> items) {
  std::vector<size_t> z(items.size(), 0);
  size_t left = 0;
  size_t right = 0;  // items[left, right) is known to equal items[0, right - left)
  for (size_t i = 1; i < items.size(); ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < items.size() && items[z[i]] == items[i + z[i]]) ++z[i];
    if (i + z[i] > right) {
      left = i;
      right = i + z[i];
    }
  }
  return z;
}

class Dry final : public Stage {
 public:
  Dry(const SamplingOptions& options, const StageInputs& inputs)
      : multiplier_(options.dry_multiplier),
        base_(options.dry_base),
        allowed_length_(options.dry_allowed_length),
        last_n_(options.dry_penalty_last_n),
        vocab_size_(inputs.vocab_size),
        token_text_(inputs.token_text),
        scanner_(options.dry_sequence_breakers) {}

  void Apply(Candidates& candidates, std::span<const int32_t> history, const Randomness&) const override {
    candidates.Edit(LongestRepetitions(history), [this](double logit, size_t length) {
      const double exponent = static_cast<double>(length) - allowed_length_;
      // A penalty beyond all numbers must not become a ban: it would empty the set if every token repeats.
      const double penalty = double{multiplier_} * std::pow(double{base_}, exponent);
      return logit - std::min(penalty, double{std::numeric_limits<float>::max()});
    });
  }

  void Accept(std::span<const int32_t> history) override {
    const int32_t token = history.back();
    const bool has_text = scanner_.has_breakers() && token >= 0 && token < vocab_size_;
    scanner_.Accept(has_text ? token_text_(token) : std::string());
  }

  std::string Describe() const override {
    const std::string window = last_n_ < 0 ? "all" : fmt::format("last {}", last_n_);
    return fmt::format("dry({}: multiplier {}, base {}, allowed {}, {} breakers)", window, multiplier_, base_,
                       allowed_length_, scanner_.breaker_count());
  }

  std::unique_ptr<Stage> Clone() const override { return std::make_unique<Dry>(*this); }

 private:
  /// For each token that would prolong a repetition, the length of the longest one.
  [[nodiscard]] std::unordered_map<int32_t, size_t> LongestRepetitions(std::span<const int32_t> history) const {
    const size_t window = last_n_ < 0 ? history.size() : std::min(history.size(), static_cast<size_t>(last_n_));
    const size_t shortest = static_cast<size_t>(std::max(allowed_length_, 1));
    const size_t longest = scanner_.tokens_since_break();
    std::unordered_map<int32_t, size_t> lengths;
    if (longest < shortest || window <= shortest) return lengths;

    const std::vector<int32_t> reversed(history.rbegin(), history.rbegin() + static_cast<std::ptrdiff_t>(window));
    const std::vector<size_t> z = ZFunction(reversed);
    for (size_t i = 1; i < window; ++i) {
      const size_t length = std::min(z[i], longest);
      if (length < shortest) continue;
      size_t& known = lengths[reversed[i - 1]];
      known = std::max(known, length);
    }
    return lengths;
  }

  float multiplier_;
  float base_;
  int32_t allowed_length_;
  int32_t last_n_;  // -1 = everything
  int32_t vocab_size_;
  TokenText token_text_;
  BreakerScanner scanner_;
};

Status ValidateDry(const SamplingOptions& options, int) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  KV_TRY(CheckRange("dry_multiplier", options.dry_multiplier, 0, 1000));
  KV_TRY(CheckRange("dry_base", options.dry_base, 1, 100));
  KV_TRY(CheckCount("dry_allowed_length", options.dry_allowed_length, 0, kMax));
  KV_TRY(CheckCount("dry_penalty_last_n", options.dry_penalty_last_n, -1, kMax));
  for (size_t i = 0; i < options.dry_sequence_breakers.size(); ++i) {
    if (options.dry_sequence_breakers[i].empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("dry_sequence_breakers[{}] is empty, but a breaker must have at least one character", i));
    }
  }
  return {};
}

Result<std::unique_ptr<Stage>> CreateDry(const SamplingOptions& options, const StageInputs& inputs) {
  if (options.dry_multiplier == 0 || options.dry_penalty_last_n == 0) return nullptr;
  if (!options.dry_sequence_breakers.empty() && !inputs.token_text) {
    return Fail(
        ErrorCode::kInvalidArgument,
        "dry_sequence_breakers need the text of tokens, which is not known here: give a tokenizer, or clear them");
  }
  return std::make_unique<Dry>(options, inputs);
}

}  // namespace

constexpr StageInfo kDryStage = {"dry", "", StageKind::kLogits, ValidateDry, CreateDry};

}  // namespace kvasir::sampling
