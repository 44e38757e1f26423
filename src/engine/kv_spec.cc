#include "kvasir/kv_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>

#include "base/check.h"
#include "kvcache/codec.h"
#include "kvcache/eviction_policy.h"
#include "kvcache/half_codec.h"

namespace kvasir {
namespace {

constexpr double kMostOutliers = 0.05;
constexpr std::string_view kAutoBits = "auto:";
constexpr int kMostTokens = 1 << 20;
constexpr unsigned kMostByteBits = 50;
constexpr std::string_view kSettings =
    "k=, v=, open=, outliers=, recent=, sinks=, evict=, budget=, seed=, levels=, weights=, ranges=, rope= or qnorm=";

// A setting of two words.
struct Switch {
  std::string_view name, off, on;
  std::optional<bool> KvSpec::Changes::* field;
};
constexpr std::array kSwitches = {Switch{"levels", "even", "fitted", &KvSpec::Changes::fitted_levels},
                                  Switch{"weights", "even", "measured", &KvSpec::Changes::measured_weights},
                                  Switch{"ranges", "page", "static", &KvSpec::Changes::static_ranges},
                                  Switch{"rope", "after", "before", &KvSpec::Changes::before_rope},
                                  Switch{"qnorm", "off", "on", &KvSpec::Changes::qnorm}};

bool IsOpenFormat(std::string_view name) {
  return name == "auto" || kvcache::FindCodec(name).has_value();
}

std::unexpected<Error> Wrong(std::string_view part, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("'{}' in the cache specification {}", part, why));
}

Result<int> Number(std::string_view part, std::string_view text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most) {
    return Wrong(part, fmt::format("needs a whole number from 0 to {}", most));
  }
  return value;
}

std::optional<double> Decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) return std::nullopt;
  return value;
}

Result<double> Share(std::string_view part, std::string_view text) {
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  const double value = Decimal(text).value_or(-1) / (percent ? 100 : 1);
  if (value >= 0 && value <= kMostOutliers) return value;
  return Wrong(part, fmt::format("needs a share from 0 to {}%, such as 1%", kMostOutliers * 100));
}

struct Unit {
  char letter;
  unsigned shift;
};
constexpr std::array kUnits = {Unit{'G', 30}, Unit{'M', 20}, Unit{'K', 10}};  // in descending order

// "64M" or "1.5G" in bytes, whole multiples of 1024; 0 for anything else.
size_t BudgetBytes(std::string_view text) {
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.letter)) continue;
    const double value = Decimal(text.substr(0, text.size() - 1)).value_or(0) * static_cast<double>(1U << unit.shift);
    const bool possible = value >= 1 && value <= static_cast<double>(uint64_t{1} << kMostByteBits);
    return possible ? static_cast<size_t>(value) / 1024 * 1024 : 0;
  }
  return 0;
}

std::string BudgetWords() {
  return fmt::format(
      "{} to {} tokens per layer and head, or a share of the prompt such as 50%, or bytes of a sequence "
      "such as 64M",
      kLeastBudgetTokens, kMostBudgetTokens);
}

Status ReadBudget(KvSpec& spec, std::string_view part, std::string_view text) {
  spec.budget_tokens = 0;
  spec.budget_share = 0;
  spec.budget_bytes = BudgetBytes(text);
  if (spec.budget_bytes > 0) return {};
  if (text.ends_with('%')) {
    spec.budget_share = Decimal(text.substr(0, text.size() - 1)).value_or(0) / 100;
    if (spec.budget_share > 0 && spec.budget_share <= 1) return {};
  } else if (const auto tokens = Number(part, text, kMostBudgetTokens); tokens && *tokens >= kLeastBudgetTokens) {
    spec.budget_tokens = *tokens;
    return {};
  }
  return Wrong(part, "needs " + BudgetWords());
}

Status ReadSeed(KvSpec& spec, std::string_view part, std::string_view text) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), spec.evict_seed);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return Wrong(part, "needs a whole number");
}

Result<std::string> Codec(std::string_view part, std::string_view name) {
  if (kvcache::FindHalfCodec(name)) return std::string(name);
  return Wrong(part, fmt::format("names no codec: there are {}", kvcache::HalfCodecNames()));
}

// "[3]" or "[0-5]".
Result<std::pair<int, int>> LayerRange(std::string_view part, std::string_view text) {
  const auto wrong = [&] { return Wrong(part, "needs layers such as [3] or [0-5]"); };
  if (!text.starts_with('[') || !text.ends_with(']')) return wrong();
  text = text.substr(1, text.size() - 2);
  const size_t dash = text.find('-');
  KV_ASSIGN(const int first, Number(part, text.substr(0, dash), kMostTokens));
  int last = first;
  if (dash != std::string_view::npos) {
    KV_ASSIGN(last, Number(part, text.substr(dash + 1), kMostTokens));
  }
  if (last < first) return wrong();
  return std::pair{first, last};
}

Status ReadHalf(KvSpec& spec, std::string_view part, std::string_view name, std::string_view value) {
  KV_ASSIGN(const std::string codec, Codec(part, value));
  const bool keys = name.front() == 'k';
  if (name.size() == 1) {
    (keys ? spec.keys : spec.values) = codec;
    return {};
  }
  KV_ASSIGN(const auto range, LayerRange(part, name.substr(1)));
  spec.layers.push_back({.keys = keys, .first = range.first, .last = range.second, .codec = codec});
  return {};
}

Status ReadBits(KvSpec& spec, std::string_view part) {
  std::string_view number = part.substr(kAutoBits.size());
  if (number.ends_with("bits")) number.remove_suffix(4);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), spec.bits);
  if (error != std::errc() || end != number.data() + number.size() || !(spec.bits >= 1 && spec.bits <= 16)) {
    return Wrong(part, "needs bits per element from 1 to 16, such as auto:3.3bits");
  }
  return {};
}

Status ReadSwitch(KvSpec& spec, std::string_view part, const Switch& which, std::string_view word) {
  if (word != which.on && word != which.off) {
    return Wrong(part, fmt::format("needs one of two words: {} or {}", which.on, which.off));
  }
  spec.changes.*which.field = word == which.on;
  return {};
}

Status ReadPart(KvSpec& spec, std::string_view part, bool first) {
  const size_t equals = part.find('=');
  if (first && part.starts_with(kAutoBits)) return ReadBits(spec, part);
  if (equals == std::string_view::npos) {
    if (!first) return Wrong(part, fmt::format("is no setting: write {}", kSettings));
    if (IsOpenFormat(part)) {
      spec.open = part;
      return {};
    }
    if (kvcache::FindHalfCodec(part)) {
      spec.keys = spec.values = part;
      return {};
    }
    std::string open = "auto";
    for (const kvcache::Codec* codec : kvcache::Codecs()) open += fmt::format(", {}", codec->name());
    return Wrong(part, fmt::format("is neither an open format ({}) nor a codec ({})", open, kvcache::HalfCodecNames()));
  }
  const std::string_view name = part.substr(0, equals);
  const std::string_view value = part.substr(equals + 1);
  if (name == "open") {
    if (!IsOpenFormat(value)) return std::unexpected(kvcache::FindCodec(value).error());
    spec.open = value;
  } else if (name == "outliers") {
    KV_ASSIGN(spec.outliers, Share(part, value));
  } else if (name == "recent") {
    KV_ASSIGN(spec.recent, Number(part, value, kMostTokens));
  } else if (name == "sinks") {
    KV_ASSIGN(spec.sinks, Number(part, value, kMostTokens));
  } else if (name == "evict") {
    const auto policy = kvcache::FindEvictionPolicy(value);
    if (!policy) return Wrong(part, fmt::format("names no policy: there are {}", kvcache::EvictionPolicyNames()));
    spec.evict = value;
  } else if (name == "budget") {
    return ReadBudget(spec, part, value);
  } else if (name == "seed") {
    return ReadSeed(spec, part, value);
  } else if (const auto which = std::ranges::find(kSwitches, name, &Switch::name); which != kSwitches.end()) {
    return ReadSwitch(spec, part, *which, value);
  } else if (name == "k" || name == "v" || name.starts_with("k[") || name.starts_with("v[")) {
    return ReadHalf(spec, part, name, value);
  } else {
    return Wrong(part, fmt::format("is no setting: write {}", kSettings));
  }
  return {};
}

// Whether a codec that the specification names for keys, or for either half, is what `is` asks for.
bool Names(const KvSpec& spec, bool only_keys, const std::function<bool(const kvcache::HalfCodec&)>& is) {
  const auto named = [&](const std::string& name) {
    const auto codec = kvcache::FindHalfCodec(name);
    return codec && is(**codec);
  };
  return named(spec.keys) || (!only_keys && named(spec.values)) ||
         std::ranges::any_of(spec.layers,
                             [&](const auto& each) { return (each.keys || !only_keys) && named(each.codec); });
}

// A change that changes nothing is a mistake.
Status CheckChanges(const KvSpec& spec, std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the cache specification '{}' {}", text, why));
  };
  const bool levels = spec.changes.fitted_levels || spec.changes.measured_weights;
  if (levels && !Names(spec, false, [](const auto& codec) { return codec.fitted; })) {
    return wrong("speaks of fitted levels, but names no codec that has them: nuq4, nuq3 and nuq2 do");
  }
  if (!spec.changes.fitted_levels.value_or(true) && spec.changes.measured_weights) {
    return wrong("speaks of weights=, which are those of fitted levels, but has even ones: leave one of the two out");
  }
  const auto by_channel = [](const auto& codec) { return codec.keys.grouping == kernels::Grouping::kChannels; };
  if (spec.changes.static_ranges && !Names(spec, true, by_channel)) {
    return wrong("speaks of ranges=, which are those of keys by channel, but names no codec that has such keys");
  }
  return {};
}

Status CheckWhole(const KvSpec& spec, std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the cache specification '{}' {}", text, why));
  };
  const KvSpec plain;
  const bool changed = spec.changes != plain.changes;
  if (spec.bits > 0 && (!spec.keys.empty() || !spec.layers.empty() || spec.outliers || changed)) {
    return wrong("asks for bits by layer and names codecs too: give one of the two");
  }
  if (spec.keys.empty() != spec.values.empty()) return wrong("names a codec for only one of keys (k=) and values (v=)");
  if (!spec.compact() &&
      (!spec.layers.empty() || spec.outliers || changed || spec.recent != plain.recent || spec.sinks != plain.sinks)) {
    return wrong("has settings of codecs but names none: write k= and v=");
  }
  KV_TRY(CheckChanges(spec, text));
  const bool budget = spec.budget_tokens > 0 || spec.budget_share > 0 || spec.budget_bytes > 0;
  if (spec.evicts() && !budget) return wrong("evicts but has no budget: write budget=1024 or budget=50%");
  if (!spec.evicts() && budget) return wrong("has a budget but no policy: write evict=snapkv");
  if (!EvictionDraws(spec.evict) && spec.evict_seed != plain.evict_seed)
    return wrong("has a seed, but only evict=random draws lots");
  return {};
}

// The part about codecs, of a specification that has some.
std::string CodecText(const KvSpec& spec) {
  const KvSpec plain;
  std::string text = spec.bits > 0              ? fmt::format("{}{}bits", kAutoBits, spec.bits)
                     : spec.keys == spec.values ? spec.keys
                                                : fmt::format("k={},v={}", spec.keys, spec.values);
  for (const KvSpec::Layers& each : spec.layers) {
    const std::string range =
        each.first == each.last ? fmt::format("{}", each.first) : fmt::format("{}-{}", each.first, each.last);
    text += fmt::format(",{}[{}]={}", each.keys ? 'k' : 'v', range, each.codec);
  }
  if (spec.outliers) text += fmt::format(",outliers={}", *spec.outliers);
  if (spec.recent != plain.recent) text += fmt::format(",recent={}", spec.recent);
  if (spec.sinks != plain.sinks) text += fmt::format(",sinks={}", spec.sinks);
  if (spec.open != plain.open) text += fmt::format(",open={}", spec.open);
  for (const Switch& each : kSwitches) {
    if (const auto value = spec.changes.*each.field)
      text += fmt::format(",{}={}", each.name, *value ? each.on : each.off);
  }
  return text;
}

}  // namespace

Result<KvSpec> ParseKvSpec(std::string_view text, std::string_view budget) {
  KvSpec spec;
  std::string_view rest = text;
  bool first = true;
  for (size_t comma = 0; comma != std::string_view::npos; first = false) {
    comma = rest.find(',');
    KV_TRY(ReadPart(spec, rest.substr(0, comma), first));
    if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
  }
  if (!budget.empty()) KV_TRY(ReadBudget(spec, fmt::format("budget={}", budget), budget));
  KV_TRY(CheckWhole(spec, text));
  return spec;
}

Status CheckKvBudget(std::string_view budget) {
  KvSpec scratch;
  if (ReadBudget(scratch, budget, budget)) return {};
  return Fail(ErrorCode::kInvalidArgument, fmt::format("is '{}', but it must be {}", budget, BudgetWords()));
}

bool KvSpec::endless() const {
  if (evict.empty()) return false;
  const auto policy = kvcache::FindEvictionPolicy(evict);
  return policy && (*policy)->renumbers();
}

int KvSpec::BudgetOf(int tokens) const {
  KV_CHECK(budget_bytes == 0);
  return budget_tokens > 0 ? budget_tokens : static_cast<int>(std::lround(budget_share * tokens));
}

std::string KvSpec::BudgetText() const {
  if (budget_tokens > 0) return fmt::format("{}", budget_tokens);
  for (const Unit& unit : kUnits) {
    const size_t size = size_t{1} << unit.shift;
    const bool whole = budget_bytes % size == 0 || unit.letter == 'K';
    if (budget_bytes > 0 && whole) return fmt::format("{}{}", budget_bytes / size, unit.letter);
  }
  return fmt::format("{}%", std::round(budget_share * 1e8) / 1e6);
}

std::vector<std::string> EvictionPolicyList() {
  std::vector<std::string> names;
  for (const kvcache::EvictionPolicy* policy : kvcache::EvictionPolicies()) names.emplace_back(policy->name());
  return names;
}

bool EvictionDraws(std::string_view name) {
  const auto policy = kvcache::FindEvictionPolicy(name);
  return policy && (*policy)->draws();
}

std::string KvSpecText(const KvSpec& spec) {
  std::string text = spec.compact() ? CodecText(spec) : spec.open;
  if (!spec.evicts()) return text;
  text += fmt::format(",evict={},budget={}", spec.evict, spec.BudgetText());
  return spec.evict_seed == KvSpec{}.evict_seed ? text : text + fmt::format(",seed={}", spec.evict_seed);
}

}  // namespace kvasir
