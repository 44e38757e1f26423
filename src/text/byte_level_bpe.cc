// Byte-level byte-pair encoding: the "gpt2" vocabularies (GPT-2, Llama 3, Qwen, SmolLM, StarCoder, ...).
//
// The problem: spell any bytes with a vocabulary in which the training text's frequent strings are single tokens. The
// idea (Radford et al. 2019): cut the text into words by a regular expression, then inside each word start from single
// bytes and apply the learned merges, lowest rank first. Here tokens are kept as the bytes they stand for, not in
// GPT-2's printable alphabet, and merges as a table from a pair of symbols to rank and result, so that the merge loop
// compares numbers only. A word that is a token and known to encode to itself costs one lookup.
#include <fmt/format.h>

#include <array>
#include <bit>
#include <unordered_map>

#include "base/check.h"
#include "text/byte_alphabet.h"
#include "text/pre_tokenizer.h"
#include "text/symbol_merger.h"
#include "text/token_index.h"
#include "text/token_model.h"
#include "text/whole_words.h"

namespace kvasir::text {
namespace {

// From a pair of symbols to what they become. Flat, open addressing, at most half full.
class MergeTable {
 public:
  explicit MergeTable(size_t merges) : slots_(std::bit_ceil(merges * 2 + 1)) {}

  // The first of equal pairs stays: it has the better rank.
  void Insert(int32_t left, int32_t right, SymbolMerger::Join join) {
    Slot& slot = slots_[Locate(KeyOf(left, right))];
    if (slot.join.rank == SymbolMerger::Join::kNever) slot = {KeyOf(left, right), join};
  }

  SymbolMerger::Join Find(int32_t left, int32_t right) const { return slots_[Locate(KeyOf(left, right))].join; }

 private:
  struct Slot {
    uint64_t key = 0;
    SymbolMerger::Join join;  // rank kNever: free
  };

  static uint64_t KeyOf(int32_t left, int32_t right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
  }
  size_t Locate(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15u >> 24) & mask;
    while (slots_[at].join.rank != SymbolMerger::Join::kNever && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

// The bytes of each token; empty for tokens that are not written in the byte alphabet (they keep their spelling).
std::vector<std::string> BytesOfTokens(const Vocabulary& vocabulary) {
  std::vector<std::string> bytes(vocabulary.tokens.size());
  for (size_t id = 0; id < bytes.size(); ++id) {
    if (SpellsText(vocabulary, id)) bytes[id] = BytesOfSpelling(vocabulary.tokens[id]).value_or("");
  }
  return bytes;
}

class ByteLevelBpe final : public TokenModel {
 public:
  ByteLevelBpe(const Vocabulary& vocabulary, PreTokenizer pre_tokenizer)
      : vocabulary_(vocabulary),
        pre_tokenizer_(std::move(pre_tokenizer)),
        bytes_(BytesOfTokens(vocabulary)),
        index_(bytes_, [](size_t) { return true; }),
        merges_(vocabulary.merges.size()),
        whole_words_(vocabulary.tokens.size()) {}

  Status ReadMerges();

  void Encode(std::string_view text, std::vector<int32_t>& out) const override {
    std::vector<std::string_view> words;
    pre_tokenizer_.Split(text, words);
    SymbolMerger merger;
    for (const std::string_view word : words) EncodeWord(word, merger, out);
  }

  void AppendText(int32_t id, std::string& out) const override {
    const std::string& bytes = bytes_[static_cast<size_t>(id)];
    out.append(bytes.empty() ? vocabulary_.tokens[static_cast<size_t>(id)] : bytes);
  }

  bool adds_space_prefix() const override { return false; }

 private:
  void EncodeWord(std::string_view word, SymbolMerger& merger, std::vector<int32_t>& out) const {
    const int32_t id = index_.Find(word);
    if (id != kNoToken) {
      const bool whole = pre_tokenizer_.ignores_merges() || whole_words_.IsWhole(id, [&] {
        std::vector<int32_t> merged;
        MergeWord(word, merger, merged);
        return merged.size() == 1;
      });
      if (whole) return out.push_back(id);
    }
    MergeWord(word, merger, out);
  }

  void MergeWord(std::string_view word, SymbolMerger& merger, std::vector<int32_t>& out) const {
    merger.Clear();
    for (uint32_t i = 0; i < word.size(); ++i) merger.Add(i, 1, byte_symbols_[static_cast<uint8_t>(word[i])]);
    merger.Run([this](const auto& left, const auto& right) { return merges_.Find(left.id, right.id); });
    merger.ForEach([&](const SymbolMerger::Symbol& symbol) {
      if (IsToken(symbol.id)) return out.push_back(symbol.id);
      // Merges may pass through texts that are no token; what stays there is spelled byte by byte. A byte without a
      // token is dropped, as the vocabulary has no way to say it.
      for (const char byte : word.substr(symbol.start, symbol.length)) {
        const int32_t id = byte_symbols_[static_cast<uint8_t>(byte)];
        if (IsToken(id)) out.push_back(id);
      }
    });
  }

  bool IsToken(int32_t symbol) const { return static_cast<size_t>(symbol) < bytes_.size(); }

  const Vocabulary& vocabulary_;
  PreTokenizer pre_tokenizer_;
  std::vector<std::string> bytes_;
  TokenIndex index_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_symbols_{};
  WholeWords whole_words_;
};

// Gives every text that occurs in merges a number: the token's id or, if it is no token, one above all ids.
class SymbolNumbers {
 public:
  SymbolNumbers(const TokenIndex& index, size_t vocab_size) : index_(index), next_(static_cast<int32_t>(vocab_size)) {}

  int32_t operator()(const std::string& bytes) {
    const int32_t id = index_.Find(bytes);
    if (id != kNoToken) return id;
    const auto [place, is_new] = others_.try_emplace(bytes, next_);
    if (is_new) ++next_;
    return place->second;
  }

 private:
  const TokenIndex& index_;
  std::unordered_map<std::string, int32_t> others_;
  int32_t next_;
};

Status ByteLevelBpe::ReadMerges() {
  SymbolNumbers number(index_, bytes_.size());
  for (int byte = 0; byte < 256; ++byte) {
    byte_symbols_[static_cast<size_t>(byte)] = number(std::string(1, static_cast<char>(byte)));
  }
  for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const std::string& merge = vocabulary_.merges[rank];
    const size_t space = merge.find(' ', 1);  // from 1: the left part may itself begin with a space in old files
    if (space == std::string::npos || space + 1 == merge.size()) {
      return Fail(ErrorCode::kCorrupt, fmt::format("merge {} is \"{}\": it must be two parts with a space between them",
                                                   rank, merge.substr(0, 80)));
    }
    const auto left = BytesOfSpelling(std::string_view(merge).substr(0, space));
    const auto right = BytesOfSpelling(std::string_view(merge).substr(space + 1));
    if (!left || !right) continue;  // not in the byte alphabet: no text can ever contain it
    merges_.Insert(number(*left), number(*right), {static_cast<uint32_t>(rank), number(*left + *right)});
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<const TokenModel>> CreateByteLevelBpe(Vocabulary& vocabulary) {
  KV_ASSIGN(PreTokenizer pre_tokenizer, PreTokenizer::Create(vocabulary.pre));
  vocabulary.add_bos = vocabulary.add_bos.value_or(pre_tokenizer.adds_bos());
  vocabulary.add_eos = vocabulary.add_eos.value_or(false);
  vocabulary.add_sep = vocabulary.add_sep.value_or(false);
  vocabulary.add_space_prefix = false;  // a property of SentencePiece; some files set it without meaning
  auto model = std::make_unique<ByteLevelBpe>(vocabulary, std::move(pre_tokenizer));
  KV_TRY(model->ReadMerges());
  return model;
}

}  // namespace kvasir::text
