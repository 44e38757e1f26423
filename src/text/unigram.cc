// Unigram: SentencePiece's language-model tokenizer, the "t5" vocabularies (T5, ALBERT, XLM-R, mBART, ...).
//
// The problem: of all ways to cut a text into tokens take the most probable one, each token having a log-probability of
// its own. The idea (Kudo, "Subword regularization", 2018): the best cut of the first n bytes ends with some token,
// before which stands the best cut of what is left; so one pass from left to right with a table by position finds it
// (Viterbi). At each character a trie yields all tokens that start there, so the time is the length of the text times
// that of the longest token. A character that no token spells costs ten more than the worst token and is unknown, or
// bytes where the vocabulary has them. Sums are doubles: a float could not tell tokens apart after some hundred
// thousand of them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "text/charsmap.h"
#include "text/prefix_trie.h"
#include "text/sentencepiece_text.h"
#include "text/token_index.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace kvasir::text {
namespace {

constexpr double kUnknownPenalty = 10.0;

// Builds normalised text: spaces become U+2581, with the runs, ends and prefix that the vocabulary asks for.
class SpaceNormalizer {
 public:
  SpaceNormalizer(bool add_prefix, bool remove_extra) : add_prefix_(add_prefix), remove_extra_(remove_extra) {}

  void Append(std::string_view text) {
    for (const char c : text) {
      if (c != ' ') {
        if (out_.empty() && add_prefix_) out_.append(kSpaceMark);
        if (space_pending_ && has_text_) out_.append(kSpaceMark);
        out_.push_back(c);
        space_pending_ = false;
        has_text_ = true;
      } else if (remove_extra_) {
        space_pending_ = true;
      } else {
        if (out_.empty() && add_prefix_) out_.append(kSpaceMark);
        out_.append(kSpaceMark);
      }
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  bool add_prefix_;
  bool remove_extra_;
  bool space_pending_ = false;
  bool has_text_ = false;
  std::string out_;
};

class Unigram final : public TokenModel {
 public:
  Unigram(const Vocabulary& vocabulary, Charsmap charsmap)
      : vocabulary_(vocabulary), charsmap_(std::move(charsmap)), byte_tokens_(vocabulary) {
    double worst = 0, best = -std::numeric_limits<double>::infinity();
    for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
      if (vocabulary.types[id] == TokenType::kNormal) {
        worst = std::min<double>(worst, vocabulary.scores[id]);
        best = std::max<double>(best, vocabulary.scores[id]);
      }
      const bool usable = SpellsText(vocabulary, id) && vocabulary.types[id] != TokenType::kUnused;
      if (usable && !vocabulary.tokens[id].empty()) trie_.Insert(vocabulary.tokens[id], static_cast<int32_t>(id));
    }
    unknown_score_ = worst - kUnknownPenalty;
    best_score_ = std::isfinite(best) ? best : 0;
  }

  void Encode(std::string_view text, std::vector<int32_t>& out) const override {
    const std::string normalized = Normalize(text);
    if (normalized.empty()) return;
    const std::vector<Step> lattice = BestSteps(normalized);
    std::vector<Step> path;
    for (size_t end = normalized.size(); end > 0; end = lattice[end].start) {
      path.push_back({lattice[end].score, static_cast<uint32_t>(end), lattice[end].id});
    }
    Emit(normalized, path, out);
  }

  void AppendText(int32_t id, std::string& out) const override { AppendSentencePieceText(vocabulary_, id, out); }

  bool adds_space_prefix() const override { return *vocabulary_.add_space_prefix; }

 private:
  // The last step of the best way to a position: where it started, the token, and the sum of scores so far.
  struct Step {
    double score = -std::numeric_limits<double>::infinity();
    uint32_t start = 0;
    int32_t id = kNoToken;  // kNoToken: one unknown character
  };

  std::string Normalize(std::string_view text) const {
    SpaceNormalizer spaces(*vocabulary_.add_space_prefix, *vocabulary_.remove_extra_whitespaces);
    while (!text.empty()) {
      const Charsmap::Match match = charsmap_.Longest(text);
      size_t taken = match.length;
      if (taken > 0) {
        spaces.Append(match.replacement);
      } else {
        const Utf8Char next = DecodeUtf8(text, 0);
        taken = static_cast<size_t>(next.length);
        spaces.Append(next.status == Utf8Status::kValid ? text.substr(0, taken) : kReplacementUtf8);
      }
      text.remove_prefix(taken);
    }
    return spaces.Take();
  }

  double ScoreOf(int32_t id, size_t length) const {
    const auto i = static_cast<size_t>(id);
    // User-defined tokens have no score of their own; this makes one better than any spelling of its text.
    if (vocabulary_.types[i] == TokenType::kUserDefined) return static_cast<double>(length) * best_score_ - 0.1;
    return vocabulary_.scores[i];
  }

  // Entry `end` holds the last step of the best cut of the first `end` bytes.
  std::vector<Step> BestSteps(std::string_view text) const {
    std::vector<Step> best(text.size() + 1);
    best[0].score = 0;
    const auto offer = [&](size_t start, size_t end, int32_t id, double score) {
      const double sum = best[start].score + score;
      if (sum > best[end].score) best[end] = {sum, static_cast<uint32_t>(start), id};
    };
    for (size_t start = 0; start < text.size();) {
      const auto char_length = static_cast<size_t>(DecodeUtf8(text, start).length);
      bool char_is_token = false;
      int32_t node = PrefixTrie::kRoot;
      for (size_t end = start; end < text.size();) {
        node = trie_.Step(node, text[end++]);
        if (node == PrefixTrie::kNone) break;
        const int32_t id = trie_.IdAt(node);
        if (id == PrefixTrie::kNone) continue;
        offer(start, end, id, ScoreOf(id, end - start));
        char_is_token |= end == start + char_length;
      }
      if (!char_is_token) offer(start, start + char_length, kNoToken, unknown_score_);
      start += char_length;
    }
    return best;
  }

  // `path` holds (end, id) from the last step to the first.
  void Emit(std::string_view text, const std::vector<Step>& path, std::vector<int32_t>& out) const {
    size_t start = 0;
    bool after_unknown = false;
    for (auto step = path.rbegin(); step != path.rend(); ++step) {
      const size_t end = step->start;
      bool unknown = false;
      if (step->id != kNoToken) {
        out.push_back(step->id);
      } else if (!byte_tokens_.Append(text.substr(start, end - start), out)) {
        unknown = true;  // neighbours that are unknown too share one token
        if (!after_unknown && vocabulary_.unk != kNoToken) out.push_back(vocabulary_.unk);
      }
      after_unknown = unknown;
      start = end;
    }
  }

  const Vocabulary& vocabulary_;
  Charsmap charsmap_;
  ByteTokens byte_tokens_;
  PrefixTrie trie_;
  double unknown_score_ = 0;
  double best_score_ = 0;
};

}  // namespace

Result<std::unique_ptr<const TokenModel>> CreateUnigram(Vocabulary& vocabulary) {
  if (vocabulary.scores.empty()) {
    return Fail(ErrorCode::kCorrupt, "a \"t5\" vocabulary needs tokenizer.ggml.scores, which is missing");
  }
  KV_ASSIGN(Charsmap charsmap, Charsmap::Create(vocabulary.precompiled_charsmap));
  SetIfAbsent(vocabulary.eos, 1, vocabulary);
  SetIfAbsent(vocabulary.unk, 2, vocabulary);
  SetIfAbsent(vocabulary.pad, 0, vocabulary);
  vocabulary.add_bos = vocabulary.add_bos.value_or(false);
  vocabulary.add_eos = vocabulary.add_eos.value_or(true);
  vocabulary.add_sep = vocabulary.add_sep.value_or(false);
  vocabulary.add_space_prefix = vocabulary.add_space_prefix.value_or(true);
  vocabulary.remove_extra_whitespaces = vocabulary.remove_extra_whitespaces.value_or(true);
  return std::make_unique<Unigram>(vocabulary, std::move(charsmap));
}

}  // namespace kvasir::text
