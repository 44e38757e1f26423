#include "text/pre_tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"
#include "text/utf8.h"

namespace kvasir::text {
namespace {

const PreTokenizerEntry* FindEntry(std::string_view name) {
  for (const PreTokenizerEntry& entry : PreTokenizers()) {
    if (std::ranges::find(entry.names, name) != entry.names.end()) return &entry;
  }
  return nullptr;
}

std::string KnownNames() {
  std::vector<std::string_view> names;
  for (const PreTokenizerEntry& entry : PreTokenizers())
    names.insert(names.end(), entry.names.begin(), entry.names.end());
  std::ranges::sort(names);
  return fmt::format("{}", fmt::join(names, ", "));
}

// The length of the malformed stretch at the start of `text`.
size_t InvalidPrefix(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Char next = DecodeUtf8(text, length);
    if (next.status == Utf8Status::kValid) break;
    length += static_cast<size_t>(next.length);
  }
  return length;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::Create(std::string_view name) {
  const PreTokenizerEntry* entry = FindEntry(name.empty() ? "default" : name);
  if (entry == nullptr) {
    return Fail(ErrorCode::kUnsupported, fmt::format("unknown pre-tokenizer \"{}\" in tokenizer.ggml.pre; known: {}",
                                                     name.substr(0, 80), KnownNames()));
  }
  std::vector<Pattern> stages;
  for (const std::string_view expression : entry->expressions) {
    KV_ASSIGN(Pattern stage, Pattern::Compile(expression));
    stages.push_back(std::move(stage));
  }
  return PreTokenizer(std::move(stages), entry->ignore_merges, entry->add_bos);
}

void PreTokenizer::Split(std::string_view text, std::vector<std::string_view>& words) const {
  Pattern::Scratch scratch;
  while (!text.empty()) {
    const size_t valid = ValidUtf8Prefix(text);
    if (valid > 0) SplitFrom(0, text.substr(0, valid), scratch, words);
    text.remove_prefix(valid);
    const size_t invalid = InvalidPrefix(text);
    if (invalid > 0) words.push_back(text.substr(0, invalid));
    text.remove_prefix(invalid);
  }
}

void PreTokenizer::SplitFrom(size_t stage, std::string_view piece, Pattern::Scratch& scratch,
                             std::vector<std::string_view>& words) const {
  if (stage == stages_.size()) return words.push_back(piece);
  size_t done = 0;
  while (done < piece.size()) {
    const auto match = stages_[stage].Match(piece, done, scratch);
    const size_t begin = match ? match->begin : piece.size();
    if (begin > done) SplitFrom(stage + 1, piece.substr(done, begin - done), scratch, words);
    if (!match) return;
    SplitFrom(stage + 1, piece.substr(begin, match->end - begin), scratch, words);
    done = match->end;
  }
}

}  // namespace kvasir::text
