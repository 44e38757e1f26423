// Filling lines with words.
//
// A line is first cut into chunks: runs of whitespace, words, the parts of hyphenated words, and dashes between words.
// Then each output line takes as many chunks as fit, and loses the whitespace at its ends. A chunk longer than a whole
// line is cut where the line ends, after a hyphen if there is one. This is what Python's textwrap module does.

#include "jinja/word_wrap.h"

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

bool IsBlank(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool IsLetter(char32_t c) {
  return IsWord(c) && !IsDecimal(c);
}
bool IsWordPunctuation(char32_t c) {
  return IsWord(c) || std::u32string_view(U"!\"'&.,?").find(c) != std::u32string_view::npos;
}

class Chunker {
 public:
  Chunker(std::u32string_view text, bool break_on_hyphens) : text_(text), hyphens_(break_on_hyphens) {}

  std::deque<std::u32string_view> Run() {
    std::deque<std::u32string_view> chunks;
    for (size_t start = 0; start < text_.size();) {
      const size_t end = EndOfChunk(start);
      chunks.push_back(text_.substr(start, end - start));
      start = end;
    }
    return chunks;
  }

 private:
  char32_t At(size_t i) const { return i < text_.size() ? text_[i] : U'\0'; }
  bool LetterAt(size_t i) const { return i < text_.size() && IsLetter(text_[i]); }

  /// The end of two or more dashes at `i` with a word behind them; `i` when there are none.
  size_t EndOfDashes(size_t i) const {
    size_t end = i;
    while (At(end) == '-') ++end;
    return end - i >= 2 && end < text_.size() && IsWord(text_[end]) ? end : i;
  }

  /// Whether a hyphenated word may be cut behind the hyphen at `i`.
  bool CutsBehind(size_t i) const {
    if (At(i) != '-') return false;
    const bool two_letters = i >= 2 && LetterAt(i - 1) && LetterAt(i - 2);
    const bool letter_hyphen = i >= 3 && IsWordPunctuation(At(i - 1)) && At(i - 2) == '-' && LetterAt(i - 3);
    if (!two_letters && !letter_hyphen) return false;
    return LetterAt(i + 1) && (LetterAt(i + 2) || (At(i + 2) == '-' && LetterAt(i + 3)));
  }

  size_t EndOfChunk(size_t start) const {
    size_t end = start;
    if (IsBlank(text_[start])) {
      while (end < text_.size() && IsBlank(text_[end])) ++end;
      return end;
    }
    if (hyphens_ && start > 0 && IsWordPunctuation(text_[start - 1]) && EndOfDashes(start) > start) {
      return EndOfDashes(start);
    }
    for (end = start + 1; end < text_.size() && !IsBlank(text_[end]); ++end) {
      if (!hyphens_) continue;
      if (CutsBehind(end)) return end + 1;
      if (IsWordPunctuation(text_[end - 1]) && EndOfDashes(end) > end) return end;
    }
    return end;
  }

  std::u32string_view text_;
  bool hyphens_;
};

bool IsAllSpace(std::u32string_view chunk) {
  return std::ranges::all_of(chunk, IsSpace);
}

/// Where to cut a chunk of which `space` characters fit.
size_t CutOfLongWord(std::u32string_view chunk, size_t space, bool break_on_hyphens) {
  if (!break_on_hyphens || chunk.size() <= space || space == 0) return space;
  const size_t hyphen = chunk.rfind('-', space - 1);
  if (hyphen == std::u32string_view::npos || hyphen == 0) return space;
  const auto before = chunk.substr(0, hyphen);
  return std::ranges::any_of(before, [](char32_t c) { return c != '-'; }) ? hyphen + 1 : space;
}

}  // namespace

Result<std::vector<std::string>> WrapLine(Runtime& runtime, std::string_view line, const WrapStyle& style) {
  if (style.width <= 0) return Raise("invalid width {} (must be > 0)", style.width);
  const auto width = static_cast<size_t>(style.width);
  // In the worst case every other character is a chunk of its own.
  KV_TRY(runtime.Reserve(line.size(), sizeof(std::u32string_view)));
  const std::u32string text = Decode(line);
  std::deque<std::u32string_view> chunks = Chunker(text, style.break_on_hyphens).Run();
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    KV_TRY(runtime.Step());
    if (!lines.empty() && IsAllSpace(chunks.front())) chunks.pop_front();
    std::vector<std::u32string_view> current;
    size_t length = 0;
    while (!chunks.empty() && length + chunks.front().size() <= width) {
      length += chunks.front().size();
      current.push_back(chunks.front());
      chunks.pop_front();
    }
    if (!chunks.empty() && chunks.front().size() > width) {
      if (style.break_long_words) {
        const size_t cut = CutOfLongWord(chunks.front(), width - length, style.break_on_hyphens);
        current.push_back(chunks.front().substr(0, cut));
        chunks.front().remove_prefix(cut);
      } else if (current.empty()) {
        current.push_back(chunks.front());
        chunks.pop_front();
      }
    }
    if (!current.empty() && IsAllSpace(current.back())) current.pop_back();
    if (current.empty()) continue;
    std::string joined;
    for (const std::u32string_view chunk : current) joined += Encode(chunk);
    lines.push_back(std::move(joined));
  }
  return lines;
}

}  // namespace kvasir::jinja
