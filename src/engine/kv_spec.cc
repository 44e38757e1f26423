#include "kvasir/kv_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "kvcache/codec.h"
#include "kvcache/half_codec.h"

namespace kvasir {
namespace {

constexpr double kMostOutliers = 0.05;
constexpr std::string_view kAutoBits = "auto:";
constexpr int kMostTokens = 1 << 20;

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

Result<double> Share(std::string_view part, std::string_view text) {
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (percent) value /= 100;
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= kMostOutliers)) {
    return Wrong(part, fmt::format("needs a share from 0 to {}%, such as 1%", kMostOutliers * 100));
  }
  return value;
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

Status ReadPart(KvSpec& spec, std::string_view part, bool first) {
  const size_t equals = part.find('=');
  if (first && part.starts_with(kAutoBits)) return ReadBits(spec, part);
  if (equals == std::string_view::npos) {
    if (!first) return Wrong(part, "is no setting: write k=, v=, open=, outliers=, recent= or sinks=");
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
  } else if (name == "k" || name == "v" || name.starts_with("k[") || name.starts_with("v[")) {
    return ReadHalf(spec, part, name, value);
  } else {
    return Wrong(part, "is no setting: write k=, v=, open=, outliers=, recent= or sinks=");
  }
  return {};
}

Status CheckWhole(const KvSpec& spec, std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the cache specification '{}' {}", text, why));
  };
  const KvSpec plain;
  if (spec.bits > 0 && (!spec.keys.empty() || !spec.layers.empty() || spec.outliers)) {
    return wrong("asks for bits by layer and names codecs too: give one of the two");
  }
  if (spec.keys.empty() != spec.values.empty()) return wrong("names a codec for only one of keys (k=) and values (v=)");
  if (!spec.compact() &&
      (!spec.layers.empty() || spec.outliers || spec.recent != plain.recent || spec.sinks != plain.sinks)) {
    return wrong("has settings of codecs but names none: write k= and v=");
  }
  return {};
}

}  // namespace

Result<KvSpec> ParseKvSpec(std::string_view text) {
  KvSpec spec;
  std::string_view rest = text;
  bool first = true;
  for (size_t comma = 0; comma != std::string_view::npos; first = false) {
    comma = rest.find(',');
    KV_TRY(ReadPart(spec, rest.substr(0, comma), first));
    if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
  }
  KV_TRY(CheckWhole(spec, text));
  return spec;
}

std::string KvSpecText(const KvSpec& spec) {
  if (!spec.compact()) return spec.open;
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
  return text;
}

}  // namespace kvasir
