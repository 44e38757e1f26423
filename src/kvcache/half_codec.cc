#include "kvcache/half_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kvasir::kvcache {
namespace {

using kernels::CompactHalf;
using kernels::Grouping;

constexpr CompactHalf WithUniformLevels(CompactHalf half) {
  if (half.bits == 8) return half;
  for (int code = 0; code < 1 << half.bits; ++code) half.level[code] = kernels::UniformLevel(half.bits, code);
  return half;
}

// Blocks of 32 features of a token with one scale each, turned by a Hadamard matrix, which spreads what is always large
// over the block.
constexpr CompactHalf Block(uint8_t bits) {
  return WithUniformLevels({.bits = bits, .grouping = Grouping::kTokens, .group = 32, .rotated = true});
}

// Keys: a range for each channel of a page.
constexpr CompactHalf Channels(uint8_t bits, uint8_t tokens, bool before_rope) {
  return WithUniformLevels(
      {.bits = bits, .grouping = Grouping::kChannels, .group = tokens, .offset = true, .before_rope = before_rope});
}

// Values: a range for each token, over so many of its features.
constexpr CompactHalf Tokens(uint8_t bits, uint8_t features, bool offset, bool rotated) {
  return WithUniformLevels(
      {.bits = bits, .grouping = Grouping::kTokens, .group = features, .offset = offset, .rotated = rotated});
}

constexpr std::array kCodecs = {
    HalfCodec{
        .name = "q8", .about = "8 bits, blocks of 32 features, Hadamard-rotated", .keys = Block(8), .values = Block(8)},
    HalfCodec{
        .name = "q5", .about = "5 bits, blocks of 32 features, Hadamard-rotated", .keys = Block(5), .values = Block(5)},
    HalfCodec{
        .name = "q4", .about = "4 bits, blocks of 32 features, Hadamard-rotated", .keys = Block(4), .values = Block(4)},
    HalfCodec{.name = "ch5",
              .about = "5 bits: keys by channel before RoPE, errors steered; values rotated, by token",
              .keys = Channels(5, 64, true),
              .values = Tokens(5, 64, true, true),
              .feedback = true},
    HalfCodec{.name = "ch4",
              .about = "4 bits: keys by channel before RoPE, errors steered; values rotated, by token",
              .keys = Channels(4, 64, true),
              .values = Tokens(4, 64, true, true),
              .feedback = true},
    HalfCodec{.name = "ch3",
              .about = "3 bits: keys by channel before RoPE, errors steered; values rotated, by token",
              .keys = Channels(3, 64, true),
              .values = Tokens(3, 64, true, true),
              .feedback = true},
    HalfCodec{.name = "ch2",
              .about = "2 bits: keys by channel before RoPE, errors steered, 0.5 % exact; values rotated, by token",
              .keys = Channels(2, 64, true),
              .values = Tokens(2, 64, false, true),
              .value_range = RangeChoice::kSearch,
              .key_outliers = 0.005,
              .feedback = true},
    HalfCodec{.name = "ch2s",
              .about = "the same without exact elements",
              .keys = Channels(2, 64, true),
              .values = Tokens(2, 64, false, true),
              .value_range = RangeChoice::kSearch,
              .feedback = true},
    HalfCodec{.name = "nuq4",
              .about = "4 bits as in KVQuant: fitted levels, keys by channel before RoPE, values by token, 1 % exact",
              .keys = Channels(4, 64, true),
              .values = Tokens(4, 64, true, false),
              .key_outliers = 0.01,
              .value_outliers = 0.01,
              .fitted = true},
    HalfCodec{.name = "nuq3",
              .about = "3 bits as in KVQuant: fitted levels, keys by channel before RoPE, values by token, 1 % exact",
              .keys = Channels(3, 64, true),
              .values = Tokens(3, 64, true, false),
              .key_outliers = 0.01,
              .value_outliers = 0.01,
              .fitted = true},
    HalfCodec{
        .name = "nuq2",
        .about = "2 bits as in KVQuant: fitted levels, keys by channel before RoPE, values by token, 1 % exact, Q-Norm",
        .keys = Channels(2, 64, true),
        .values = Tokens(2, 64, true, false),
        .key_outliers = 0.01,
        .value_outliers = 0.01,
        .qnorm = true,
        .fitted = true},
    HalfCodec{.name = "kivi4",
              .about = "4 bits as in KIVI: keys by channel over 32 tokens, values by token over 32 features",
              .keys = Channels(4, 32, false),
              .values = Tokens(4, 32, true, false)},
    HalfCodec{.name = "kivi2",
              .about = "2 bits as in KIVI: keys by channel over 32 tokens, values by token over 32 features",
              .keys = Channels(2, 32, false),
              .values = Tokens(2, 32, true, false)},
    HalfCodec{.name = "tok4",
              .about = "4 bits: keys and values by token, evenly spaced levels; what the others are compared with",
              .keys = Tokens(4, 64, true, false),
              .values = Tokens(4, 64, true, false)},
    HalfCodec{.name = "tok3",
              .about = "3 bits: keys and values by token, evenly spaced levels; what the others are compared with",
              .keys = Tokens(3, 64, true, false),
              .values = Tokens(3, 64, true, false)},
    HalfCodec{.name = "tok2",
              .about = "2 bits: keys and values by token, evenly spaced levels; what the others are compared with",
              .keys = Tokens(2, 64, true, false),
              .values = Tokens(2, 64, true, false)},
};

}  // namespace

int64_t OutlierCount(double outliers, int head_dim) {
  return std::lround(outliers * head_dim * kernels::kPageTokens);
}

std::span<const HalfCodec> HalfCodecs() {
  return kCodecs;
}

Result<const HalfCodec*> FindHalfCodec(std::string_view name) {
  const auto found = std::ranges::find(kCodecs, name, &HalfCodec::name);
  if (found != kCodecs.end()) return &*found;
  return Fail(ErrorCode::kNotFound, fmt::format("no cache codec is called '{}': there are {}", name, HalfCodecNames()));
}

std::string HalfCodecNames() {
  std::string names;
  for (const HalfCodec& codec : kCodecs) names += fmt::format("{}{}", names.empty() ? "" : ", ", codec.name);
  return names;
}

}  // namespace kvasir::kvcache
