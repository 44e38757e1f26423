#include "text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/check.h"

namespace kvasir::text {
namespace {

// Several times what any published vocabulary has, and little enough that the tables built from it fit any machine.
constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr size_t kMaxMerges = size_t{1} << 22;
constexpr size_t kMaxTokenBytes = 4096;
constexpr size_t kMaxTotalBytes = size_t{64} << 20;

Status CheckSizes(const Vocabulary& vocabulary) {
  if (vocabulary.tokens.empty())
    return Fail(ErrorCode::kCorrupt, "tokenizer.ggml.tokens is empty: no vocabulary to use");
  if (vocabulary.tokens.size() > kMaxTokens || vocabulary.merges.size() > kMaxMerges) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the vocabulary has {} tokens and {} merges; at most {} of each are accepted",
                            vocabulary.tokens.size(), vocabulary.merges.size(), kMaxTokens));
  }
  size_t total = 0;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const size_t size = vocabulary.tokens[id].size();
    if (size > kMaxTokenBytes) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("token {} is {} bytes long; at most {} are accepted", id, size, kMaxTokenBytes));
    }
    total += size;
  }
  for (const std::string& merge : vocabulary.merges) total += merge.size();
  if (total > kMaxTotalBytes) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("tokens and merges are {} bytes long together; at most {} are "
                            "accepted",
                            total, kMaxTotalBytes));
  }
  return {};
}

Status CheckArrays(const Vocabulary& vocabulary) {
  const auto fits = [&](size_t size) { return size == 0 || size == vocabulary.tokens.size(); };
  if (!fits(vocabulary.scores.size()) || !fits(vocabulary.types.size())) {
    return Fail(
        ErrorCode::kCorrupt,
        fmt::format("the vocabulary has {} tokens but {} scores and {} token types: they must be as many or absent",
                    vocabulary.tokens.size(), vocabulary.scores.size(), vocabulary.types.size()));
  }
  const auto bad = std::ranges::find_if_not(vocabulary.scores, [](float score) { return std::isfinite(score); });
  if (bad != vocabulary.scores.end()) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the score of token {} is {}: it must be finite", bad - vocabulary.scores.begin(), *bad));
  }
  return {};
}

Status CheckId(std::string_view name, int32_t id, const Vocabulary& vocabulary) {
  if (id == kNoToken || (id >= 0 && static_cast<size_t>(id) < vocabulary.tokens.size())) return {};
  return Fail(ErrorCode::kCorrupt, fmt::format("the {} token id is {} but the vocabulary has {} tokens", name, id,
                                               vocabulary.tokens.size()));
}

Status CheckIds(const Vocabulary& vocabulary) {
  const std::array<std::pair<std::string_view, int32_t>, 9> named = {{{"bos", vocabulary.bos},
                                                                      {"eos", vocabulary.eos},
                                                                      {"unknown", vocabulary.unk},
                                                                      {"separator", vocabulary.sep},
                                                                      {"padding", vocabulary.pad},
                                                                      {"cls", vocabulary.cls},
                                                                      {"mask", vocabulary.mask},
                                                                      {"eot", vocabulary.eot},
                                                                      {"eom", vocabulary.eom}}};
  for (const auto& [name, id] : named) KV_TRY(CheckId(name, id, vocabulary));
  for (const int32_t id : vocabulary.strip_left) KV_TRY(CheckId("left-stripping", id, vocabulary));
  for (const int32_t id : vocabulary.strip_right) KV_TRY(CheckId("right-stripping", id, vocabulary));
  return {};
}

}  // namespace

Status CheckVocabulary(const Vocabulary& vocabulary) {
  KV_TRY(CheckSizes(vocabulary));
  KV_TRY(CheckArrays(vocabulary));
  return CheckIds(vocabulary);
}

}  // namespace kvasir::text
