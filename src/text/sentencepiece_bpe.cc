// SentencePiece's byte-pair encoding: the "llama" vocabularies (Llama 1 and 2, Mistral, Gemma, Phi-3, ...).
//
// The problem and the idea are those of byte-pair encoding, with three differences from GPT-2's: it starts from
// characters, not bytes; it has no list of merges, any two neighbours may join if their text is a token, the one with
// the best score first; and it cuts no words, the space being a character (U+2581) like any other. What is left of
// characters that are no token becomes byte tokens. See Kudo and Richardson, "SentencePiece" (2018). Scores are turned
// into ranks at the start, so that the merge loop is the same as that of the other kind, and the text is cut where no
// token can cross (safe_cuts.h).
#include <algorithm>
#include <functional>
#include <optional>

#include "base/check.h"
#include "text/safe_cuts.h"
#include "text/sentencepiece_text.h"
#include "text/symbol_merger.h"
#include "text/token_index.h"
#include "text/token_model.h"
#include "text/utf8.h"
#include "text/whole_words.h"

namespace kvasir::text {
namespace {

// The place of each token's score among the distinct scores, best first.
std::vector<uint32_t> RanksOf(const std::vector<float>& scores) {
  std::vector<float> distinct = scores;
  std::ranges::sort(distinct, std::greater<>());
  distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
  std::vector<uint32_t> ranks;
  ranks.reserve(scores.size());
  for (const float score : scores) {
    const auto place = std::ranges::lower_bound(distinct, score, std::greater<>());
    ranks.push_back(static_cast<uint32_t>(place - distinct.begin()));
  }
  return ranks;
}

class SentencePieceBpe final : public TokenModel {
 public:
  explicit SentencePieceBpe(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary),
        index_(vocabulary.tokens, [&](size_t id) { return SpellsText(vocabulary, id); }),
        ranks_(RanksOf(vocabulary.scores)),
        byte_tokens_(vocabulary),
        whole_words_(vocabulary.tokens.size()) {
    for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
      if (SpellsText(vocabulary, id)) cuts_.AddToken(vocabulary.tokens[id]);
    }
  }

  void Encode(std::string_view text, std::vector<int32_t>& out) const override {
    if (text.empty()) return;
    std::string escaped;
    escaped.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
    if (adds_space_prefix()) escaped.append(kSpaceMark);
    AppendEscapingSpaces(text, escaped);
    SymbolMerger merger;
    for (std::string_view rest = escaped; !rest.empty();) {
      const std::string_view part = rest.substr(0, cuts_.FirstPart(rest));
      EncodePart(part, merger, out);
      rest.remove_prefix(part.size());
    }
  }

  void AppendText(int32_t id, std::string& out) const override { AppendSentencePieceText(vocabulary_, id, out); }

  bool adds_space_prefix() const override { return *vocabulary_.add_space_prefix; }

 private:
  void EncodePart(std::string_view part, SymbolMerger& merger, std::vector<int32_t>& out) const {
    const int32_t id = index_.Find(part);
    const bool whole = id != kNoToken && whole_words_.IsWhole(id, [&] {
      std::vector<int32_t> merged;
      MergePart(part, merger, merged);
      return merged.size() == 1;
    });
    if (whole) return out.push_back(id);
    MergePart(part, merger, out);
  }

  void MergePart(std::string_view part, SymbolMerger& merger, std::vector<int32_t>& out) const {
    merger.Clear();
    for (size_t at = 0; at < part.size();) {
      const auto length = static_cast<size_t>(DecodeUtf8(part, at).length);
      merger.Add(static_cast<uint32_t>(at), static_cast<uint32_t>(length), index_.Find(part.substr(at, length)));
      at += length;
    }
    merger.Run([&](const auto& left, const auto& right) {
      const int32_t id = index_.Find(part.substr(left.start, left.length + right.length));
      if (id == kNoToken) return SymbolMerger::Join{};
      return SymbolMerger::Join{ranks_[static_cast<size_t>(id)], id};
    });
    merger.ForEach([&](const SymbolMerger::Symbol& symbol) {
      if (symbol.id != kNoToken) return out.push_back(symbol.id);
      if (byte_tokens_.Append(part.substr(symbol.start, symbol.length), out)) return;
      if (vocabulary_.unk != kNoToken) out.push_back(vocabulary_.unk);
    });
  }

  const Vocabulary& vocabulary_;
  TokenIndex index_;
  std::vector<uint32_t> ranks_;
  ByteTokens byte_tokens_;
  SafeCuts cuts_;
  WholeWords whole_words_;
};

}  // namespace

Result<std::unique_ptr<const TokenModel>> CreateSentencePieceBpe(Vocabulary& vocabulary) {
  if (vocabulary.scores.empty()) {
    return Fail(ErrorCode::kCorrupt, "a \"llama\" vocabulary needs tokenizer.ggml.scores, which is missing");
  }
  SetIfAbsent(vocabulary.bos, 1, vocabulary);
  SetIfAbsent(vocabulary.eos, 2, vocabulary);
  SetIfAbsent(vocabulary.unk, 0, vocabulary);
  vocabulary.add_bos = vocabulary.add_bos.value_or(true);
  vocabulary.add_eos = vocabulary.add_eos.value_or(false);
  vocabulary.add_sep = vocabulary.add_sep.value_or(false);
  vocabulary.add_space_prefix = vocabulary.add_space_prefix.value_or(true);
  return std::make_unique<SentencePieceBpe>(vocabulary);
}

}  // namespace kvasir::text
