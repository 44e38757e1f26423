#include "cli/sampling_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>

#include "base/check.h"
#include "cli/flags.h"

namespace kvasir::cli {
namespace {

constexpr const char* kSamplingGroup = "Sampling (how the next token is chosen)";

// Checks one changed member with everything else at its default. The library's message begins with the member's name;
// the flag takes its place.
Status Check(const SamplingOptions& changed) {
  Status status = Validate(changed, 0);
  if (status) return status;
  const std::string& message = status.error().message;
  return Fail(status.error().code, message.substr(message.find(' ') + 1));
}

template <typename T>
void AddMember(CLI::App& app, const std::string& names, T SamplingOptions::* member, SamplingOptions& options,
               const std::string& help) {
  const SamplingOptions defaults;
  const Setter set = [&options, member](std::string_view text) -> Status {
    T value;
    if constexpr (std::is_integral_v<T>) {
      KV_ASSIGN(const int64_t number, ParseCount(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
      value = static_cast<T>(number);
    } else {
      KV_ASSIGN(const double number, ParseReal(text));
      value = static_cast<T>(number);
    }
    SamplingOptions changed;
    changed.*member = value;
    KV_TRY(Check(changed));
    options.*member = value;
    return {};
  };
  const char* type = std::is_integral_v<T> ? "N" : "X";
  AddValue(app, names, type, fmt::format("{} (default {})", help, defaults.*member), set).Group(kSamplingGroup);
}

void AddSeed(CLI::App& app, SamplingOptions& options) {
  const Setter set = [&options](std::string_view text) -> Status {
    uint64_t seed = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (error != std::errc() || end != text.data() + text.size()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be a whole number from 0 to {}", text,
                                                           std::numeric_limits<uint64_t>::max()));
    }
    options.seed = seed;
    return {};
  };
  AddValue(app, "-s,--seed", "N", "same seed, same text (default: a new one each time)", set).Group(kSamplingGroup);
}

void AddOrder(CLI::App& app, SamplingOptions& options) {
  const Setter set = [&options](std::string_view text) -> Status {
    auto order = ParseSamplingOrder(text);
    if (!order) return Fail(order.error().code, fmt::format("is '{}': {}", text, order.error().message));
    options.order = std::move(*order);
    return {};
  };
  const std::string help =
      fmt::format("the stages that run, in order (default {})", fmt::join(DefaultSamplingOrder(), "; "));
  AddValue(app, "--samplers", "A;B;...", help, set).Group(kSamplingGroup);
}

void AddBias(CLI::App& app, SamplingOptions& options) {
  const Setter set = [&options](std::string_view text) -> Status {
    KV_ASSIGN(const auto bias, ParseLogitBias(text));
    SamplingOptions changed;
    changed.logit_bias = {bias};
    if (Status status = Validate(changed, 0); !status) {
      return Fail(status.error().code, fmt::format("is '{}': {}", text, status.error().message));
    }
    options.logit_bias.push_back(bias);
    return {};
  };
  AddValue(app, "--logit-bias", "ID:X", "add X to the logit of token ID; -inf bans it; may be repeated", set,
           /*repeat=*/true)
      .Group(kSamplingGroup);
}

void AddBreakers(CLI::App& app, SamplingOptions& options) {
  const Setter set = [&options, first = true](std::string_view text) mutable -> Status {
    if (text.empty()) {
      return Fail(ErrorCode::kInvalidArgument, "is empty, but it must be some text, or 'none' for no breakers");
    }
    if (std::exchange(first, false)) options.dry_sequence_breakers.clear();
    if (text != "none") options.dry_sequence_breakers.emplace_back(text);
    return {};
  };
  AddValue(app, "--dry-sequence-breaker", "TEXT",
           "DRY does not look back over TEXT; may be repeated; 'none' has none (default: newline : \" *)", set,
           /*repeat=*/true)
      .Group(kSamplingGroup);
}

}  // namespace

void AddSamplingFlags(CLI::App& app, SamplingOptions& options) {
  using O = SamplingOptions;
  AddMember(app, "--temp,--temperature", &O::temperature, options,
            "0 always takes the likeliest token; more is wilder");
  AddSwitch(
      app, "--greedy", [&options] { options.temperature = 0; }, "same as --temp 0")
      .Group(kSamplingGroup)
      .Excludes("--temp");
  AddSeed(app, options);
  AddMember(app, "--top-k", &O::top_k, options, "keep the N likeliest tokens; 0 is off");
  AddMember(app, "--top-p", &O::top_p, options, "keep the likeliest tokens that together reach X; 1 is off");
  AddMember(app, "--min-p", &O::min_p, options, "drop tokens below X times the likeliest; 0 is off");
  AddMember(app, "--typical-p,--typical", &O::typical_p, options, "keep tokens of typical surprise; 1 is off");
  AddMember(app, "--top-n-sigma", &O::top_n_sigma, options, "drop tokens X deviations below the best; 0 is off");
  AddMember(app, "--repeat-penalty", &O::repeat_penalty, options, "make recent tokens less likely; 1 is off");
  AddMember(app, "--repeat-last-n", &O::repeat_last_n, options, "what counts as recent, in tokens; -1 is everything");
  AddMember(app, "--presence-penalty", &O::presence_penalty, options, "subtracted once from tokens seen recently");
  AddMember(app, "--frequency-penalty", &O::frequency_penalty, options, "subtracted for each time a token was seen");
  AddMember(app, "--dry-multiplier", &O::dry_multiplier, options, "penalty on repeating whole phrases; 0 is off");
  AddMember(app, "--dry-base", &O::dry_base, options, "how fast that penalty grows with the phrase");
  AddMember(app, "--dry-allowed-length", &O::dry_allowed_length, options, "phrases shorter than N cost nothing");
  AddMember(app, "--dry-penalty-last-n", &O::dry_penalty_last_n, options, "how far to look back; -1 is everything");
  AddBreakers(app, options);
  AddMember(app, "--xtc-probability", &O::xtc_probability, options, "how often to skip the obvious tokens; 0 is off");
  AddMember(app, "--xtc-threshold", &O::xtc_threshold, options, "what makes a token obvious");
  AddMember(app, "--mirostat", &O::mirostat, options, "2 holds the surprise constant instead of cutting; 0 is off");
  AddMember(app, "--mirostat-tau", &O::mirostat_tau, options, "the surprise to hold, in bits");
  AddMember(app, "--mirostat-eta", &O::mirostat_eta, options, "how fast it adapts");
  AddBias(app, options);
  AddOrder(app, options);
}

Result<std::pair<int32_t, float>> ParseLogitBias(std::string_view text) {
  const size_t split = text.find_first_of(":+-", 1);
  if (split != std::string_view::npos) {
    // The sign belongs to the number, the colon does not; from_chars takes no '+'.
    const std::string_view number = text.substr(split + (text[split] == '-' ? 0 : 1));
    const auto id = ParseCount(text.substr(0, split), 0, std::numeric_limits<int32_t>::max());
    const auto bias = ParseReal(number, /*allow_infinity=*/true);
    if (id && bias) return std::pair(static_cast<int32_t>(*id), static_cast<float>(*bias));
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("is '{}', but it must be a token id and a number, such as 42:-1.5 or 42:-inf", text));
}

}  // namespace kvasir::cli
