// WordPiece: the "bert" vocabularies (BERT, MiniLM, BGE, E5, ...).
//
// The problem: turn text into the words that an embedding model was trained on. The idea (Devlin et al., "BERT", 2019):
// clean and, for uncased models, fold the text, cut it at spaces, punctuation and ideographs, and spell each word
// greedily with the longest token that fits, left to right; a word that cannot be spelled is one [UNK]. GGUF files
// write the first token of a word with U+2581 before it and the others bare (BERT's own files write the others with
// "##"). Two tries, one for first tokens and one for the rest, give the longest fit in one walk. Decoding does not
// bring back what was folded.
#include <utf8proc.h>

#include <array>

#include "base/check.h"
#include "text/prefix_trie.h"
#include "text/token_index.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace kvasir::text {
namespace {

// Longer words are [UNK], as in the original: they are not language, and this bounds the work per word.
constexpr size_t kMaxWordChars = 100;

// Unicode's blocks of CJK ideographs, each of which BERT takes for a word.
bool IsIdeograph(char32_t c) {
  constexpr std::array<std::pair<char32_t, char32_t>, 8> kBlocks = {{{0x4E00, 0x9FFF},
                                                                     {0x3400, 0x4DBF},
                                                                     {0x20000, 0x2A6DF},
                                                                     {0x2A700, 0x2B73F},
                                                                     {0x2B740, 0x2B81F},
                                                                     {0x2B820, 0x2CEAF},
                                                                     {0xF900, 0xFAFF},
                                                                     {0x2F800, 0x2FA1F}}};
  for (const auto& [first, last] : kBlocks) {
    if (c >= first && c <= last) return true;
  }
  return false;
}

bool IsAsciiMark(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

bool StandsAlone(char32_t c, utf8proc_category_t category) {
  const bool punctuation = category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
  return IsAsciiMark(c) || punctuation || IsIdeograph(c);
}

bool IsSpace(char32_t c, utf8proc_category_t category) {
  return c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

// Not text: controls, format characters, private use, and U+FFFD, which is what malformed bytes decode to.
bool IsDropped(char32_t c, utf8proc_category_t category) {
  return c == 0 || c == 0xFFFD || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS;
}

utf8proc_category_t CategoryOf(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

// Collects the characters of words and hands each finished word on.
template <typename EmitWord>
class WordCutter {
 public:
  explicit WordCutter(EmitWord emit) : emit_(std::move(emit)) {}

  void Take(char32_t c) {
    const utf8proc_category_t category = CategoryOf(c);
    if (StandsAlone(c, category)) {
      Finish();
      Append(c);
      Finish();
    } else {
      Append(c);
    }
  }

  void Finish() {
    if (chars_ > 0) emit_(word_, chars_);
    word_.clear();
    chars_ = 0;
  }

 private:
  void Append(char32_t c) {
    AppendUtf8(c, word_);
    ++chars_;
  }

  EmitWord emit_;
  std::string word_;
  size_t chars_ = 0;
};

// Calls `take` for the lower-case characters that `c` is made of, without its accents.
template <typename Take>
void Fold(char32_t c, const Take& take) {
  if (c < 0x80) return take(c >= 'A' && c <= 'Z' ? c + 32 : c);
  std::array<utf8proc_int32_t, 32> parts;  // no character decomposes into more than 18
  int boundary_class = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                              static_cast<utf8proc_ssize_t>(parts.size()), UTF8PROC_DECOMPOSE, &boundary_class);
  if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) return take(c);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    if (utf8proc_category(parts[i]) == UTF8PROC_CATEGORY_MN) continue;
    take(static_cast<char32_t>(utf8proc_tolower(parts[i])));
  }
}

class WordPiece final : public TokenModel {
 public:
  explicit WordPiece(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
      std::string_view token = vocabulary.tokens[id];
      if (!SpellsText(vocabulary, id)) continue;
      const bool starts_word = token.starts_with(kSpaceMark);
      if (starts_word) token.remove_prefix(kSpaceMark.size());
      if (!token.empty()) (starts_word ? first_ : rest_).Insert(token, static_cast<int32_t>(id));
    }
  }

  void Encode(std::string_view text, std::vector<int32_t>& out) const override {
    WordCutter cutter([&](std::string_view word, size_t chars) { EncodeWord(word, chars, out); });
    for (size_t at = 0; at < text.size();) {
      const Utf8Char next = DecodeUtf8(text, at);
      at += static_cast<size_t>(next.length);
      const utf8proc_category_t category = CategoryOf(next.code_point);
      if (IsSpace(next.code_point, category)) {
        cutter.Finish();
      } else if (IsDropped(next.code_point, category)) {
        continue;
      } else if (*vocabulary_.lowercase) {
        Fold(next.code_point, [&](char32_t c) { cutter.Take(c); });
      } else {
        cutter.Take(next.code_point);
      }
    }
    cutter.Finish();
  }

  void AppendText(int32_t id, std::string& out) const override {
    std::string_view spelling = vocabulary_.tokens[static_cast<size_t>(id)];
    if (spelling.starts_with(kSpaceMark)) {
      out.push_back(' ');
      spelling.remove_prefix(kSpaceMark.size());
    }
    out.append(spelling);
  }

  bool adds_space_prefix() const override { return true; }

 private:
  void EncodeWord(std::string_view word, size_t chars, std::vector<int32_t>& out) const {
    const size_t before = out.size();
    bool spelled = chars <= kMaxWordChars;
    for (const PrefixTrie* trie = &first_; spelled && !word.empty(); trie = &rest_) {
      const PrefixTrie::Match token = trie->Longest(word);
      spelled = token.id != PrefixTrie::kNone;
      if (spelled) out.push_back(token.id);
      word.remove_prefix(token.length);
    }
    if (spelled) return;
    out.resize(before);
    if (vocabulary_.unk != kNoToken) out.push_back(vocabulary_.unk);
  }

  const Vocabulary& vocabulary_;
  PrefixTrie first_;  // tokens that start a word
  PrefixTrie rest_;   // tokens that go on with it
};

}  // namespace

Result<std::unique_ptr<const TokenModel>> CreateWordPiece(Vocabulary& vocabulary) {
  SetIfAbsent(vocabulary.cls, 101, vocabulary);
  if (vocabulary.bos == kNoToken) vocabulary.bos = vocabulary.cls;
  SetIfAbsent(vocabulary.unk, 100, vocabulary);
  SetIfAbsent(vocabulary.sep, 102, vocabulary);
  SetIfAbsent(vocabulary.pad, 0, vocabulary);
  SetIfAbsent(vocabulary.mask, 103, vocabulary);
  vocabulary.add_bos = vocabulary.add_bos.value_or(true);
  vocabulary.add_eos = vocabulary.add_eos.value_or(false);
  vocabulary.add_sep = vocabulary.add_sep.value_or(true);
  vocabulary.lowercase = vocabulary.lowercase.value_or(true);
  vocabulary.add_space_prefix = true;
  return std::make_unique<WordPiece>(vocabulary);
}

}  // namespace kvasir::text
