// From a position in a grammar to the tokens that may come next.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/program.h"
#include "grammar/token_trie.h"
#include "grammar/walker.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// What masks may take up, over all grammars of a vocabulary. Thread-safe.
struct MaskBudget {
  std::atomic<size_t> used = 0;
  size_t limit = size_t{128} << 20U;
};

/// A program together with a vocabulary, and what has been found out about them. Shared by all requests with the same
/// grammar. Thread-safe.
class TokenGrammar {
 public:
  /// The tokens that one state of a rule allows, whatever is around the rule.
  struct LocalMask {
    std::vector<uint32_t> words;  ///< One bit per token; empty where `few` says it shorter.
    std::vector<int32_t> few;
    /// Tokens that begin inside the rule and go on behind its end: whether they fit depends on who called the rule.
    TokenTrie crossing;
    size_t bytes = 0;
  };
  /// A walker with the masks of some of its positions: what a request needs while it runs, and the next one can go on
  /// with.
  struct Track {
    explicit Track(const Program& program) : walker(program) {}
    Walker walker;
    std::unordered_map<Walker::Position, std::vector<uint32_t>> masks;
  };

  /// `special_ids`: the token of each of program.specials(). `table` and `budget` must not be null.
  TokenGrammar(Program program, std::shared_ptr<const TokenTable> table, std::vector<int32_t> special_ids,
               std::shared_ptr<MaskBudget> budget);
  ~TokenGrammar();
  TokenGrammar(const TokenGrammar&) = delete;
  TokenGrammar& operator=(const TokenGrammar&) = delete;

  [[nodiscard]] const Program& program() const { return program_; }
  [[nodiscard]] const TokenTable& table() const { return *table_; }
  /// The token of each of program().specials().
  [[nodiscard]] std::span<const int32_t> special_ids() const { return special_ids_; }

  /// The mask of a state's class; the first time it is asked for, it takes a walk over the whole vocabulary.
  [[nodiscard]] Result<std::shared_ptr<const LocalMask>> LocalMaskOf(uint32_t state);

  [[nodiscard]] std::unique_ptr<Track> BorrowTrack();
  void ReturnTrack(std::unique_ptr<Track> track);

 private:
  [[nodiscard]] Result<std::shared_ptr<const LocalMask>> Compute(uint32_t state) const;
  void ForgetMasks();

  const Program program_;
  const std::shared_ptr<const TokenTable> table_;
  const std::vector<int32_t> special_ids_;
  const std::shared_ptr<MaskBudget> budget_;
  std::mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<const LocalMask>> masks_;  // by class
  size_t bytes_ = 0;                                                      // of masks_
  std::vector<std::unique_ptr<Track>> tracks_;
};

/// One text on its way through a grammar, token by token. For one thread at a time.
class Constraint {
 public:
  /// `vocabulary`: bits of a mask; at least the tokens of the table, more where a model pads its logits.
  Constraint(std::shared_ptr<TokenGrammar> grammar, int32_t vocabulary);
  ~Constraint();
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  /// One bit per token that may come next. The tokens that end an answer are among them exactly where the text may end;
  /// after one, only they. Valid until the next call. Errors
  /// (kInvalidArgument): a limit of Walker was met; a token was chosen that was not allowed; no token of the vocabulary
  /// fits.
  [[nodiscard]] Result<std::span<const uint32_t>> Mask();
  /// The token that was chosen.
  void Accept(int32_t token);
  /// Whether the text may end here.
  [[nodiscard]] bool complete() const { return ended_ || track_->walker.complete(position_); }

 private:
  [[nodiscard]] Status Fill();
  void Set(int32_t token) { mask_[static_cast<size_t>(token) / 32] |= 1U << (static_cast<uint32_t>(token) % 32); }
  void AddCrossing(const TokenTrie& crossing);

  std::shared_ptr<TokenGrammar> grammar_;
  std::unique_ptr<TokenGrammar::Track> track_;
  Walker::Position position_;
  bool ended_ = false;
  std::vector<uint32_t> mask_;
};

}  // namespace kvasir::grammar
