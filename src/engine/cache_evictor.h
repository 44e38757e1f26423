// When one sequence's cache is evicted from, and how much.
//
// The rule: at the end of the prompt, before the first generated token is computed, every head is brought down to the
// budget; from then on whenever 256 more tokens have come. These points depend on the length alone, and a step never
// goes across one (RoomInStep), so a request whose cache was taken and that is computed again evicts the same tokens
// at the same places and goes on with the same text.
//
// Where what is kept is numbered anew (KvSpec::endless), the sequence holds fewer tokens than the text has, and a text
// may be longer than the context: then tokens are also dropped whenever the context is full.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/attention_record.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "kvcache/kv_sequence.h"

namespace kvasir {

class CacheEvictor {
 public:
  /// For one sequence of `engine`, which must outlive it, whose cache is as `spec` (that of the engine, or of a session
  /// that has its own; budgets in tokens) and `compact` (its store of compact pages, or null) say, and whose heads hold
  /// at most `most_held` tokens; null where `spec` does not evict. What its policy records is set aside from the budget
  /// of the engine's pages: kResourceExhausted where there is no room for it.
  [[nodiscard]] static Result<std::unique_ptr<CacheEvictor>> Create(Engine::Impl& engine, const KvSpec& spec,
                                                                    const kvcache::CompactStore* compact,
                                                                    int most_held);

  /// What is to see the sequence's attention; null where the policy needs nothing.
  [[nodiscard]] AttentionRecord* record() { return record_ ? &*record_ : nullptr; }

  /// The sequence is a fork of one whose rows `seen` has recorded, or null where the policy needs nothing.
  void TakeOver(const AttentionRecord* seen);
  /// Tokens of the text that the sequence does not count any more, because the rest was numbered anew.
  [[nodiscard]] int dropped() const { return static_cast<int>(dropped_.size()); }
  /// How many tokens the beginning of `prompt` and the text have in common that was computed in `sequence`, which holds
  /// what is left of it.
  [[nodiscard]] int CommonWith(const kvcache::KvSequence& sequence, std::span<const int32_t> prompt) const;
  /// Of the first `common` tokens of `prompt_tokens` that `sequence` has computed, how many of those that it holds may
  /// stay. Some policies need rows computed that a cache could give.
  [[nodiscard]] int Reusable(const kvcache::KvSequence& sequence, int common, int prompt_tokens) const;
  /// The same for blocks of another sequence of `engine`, whose rows were never seen.
  [[nodiscard]] static int ReusableOfOthers(const Engine::Impl& engine, int common, int prompt_tokens);
  /// Of a text of `tokens` that begins with a prompt of `prompt_tokens`, how many a head of a sequence of `engine`
  /// holds at once at most.
  [[nodiscard]] static int MostHeld(const Engine::Impl& engine, int prompt_tokens, int tokens);
  /// The sequence was rewound.
  void OnRewind(const kvcache::KvSequence& sequence);
  /// A prompt of so many tokens is computed next, the beginning of which may be held.
  void BeginPrompt(int prompt_tokens);

  /// How many tokens a step of `sequence` may bring, at least 1.
  [[nodiscard]] int RoomInStep(const kvcache::KvSequence& sequence) const;
  /// A step was committed.
  void OnStep() {
    if (record_) record_->Commit();
  }
  /// Whether a step was begun and given up: then the sequence has to be computed anew.
  [[nodiscard]] bool dirty() const { return record_ && record_->dirty(); }
  /// Evicts where it is time. kResourceExhausted where there is no memory for the copies: nothing is lost, and the next
  /// call tries again.
  [[nodiscard]] Status EvictIfDue(kvcache::KvSequence& sequence);
  /// Brings the cache down to the budget now, and not again at the end of the next prompt.
  [[nodiscard]] Status Compress(kvcache::KvSequence& sequence);

 private:
  CacheEvictor(Engine::Impl& engine, const KvSpec& spec, const kvcache::CompactStore* compact,
               kvcache::PagePool::Reservation reserved);

  [[nodiscard]] int32_t TextOf(const kvcache::KvSequence& sequence) const { return sequence.committed() + dropped(); }
  [[nodiscard]] bool IsFull(const kvcache::KvSequence& sequence) const;
  [[nodiscard]] Status EvictTo(kvcache::KvSequence& sequence, int budget);

  static constexpr int32_t kNever = std::numeric_limits<int32_t>::max();

  Engine::Impl& engine_;
  const KvSpec spec_;
  const kvcache::EvictionPolicy& policy_;
  kvcache::PagePool::Reservation reserved_;  // for record_
  std::optional<AttentionRecord> record_;
  int budget_ = 0;                // tokens; 0 while the end of the prompt has not come
  int32_t next_ = kNever;         // the length of the text at which tokens are evicted next
  bool by_caller_ = false;        // Compress was called since the sequence was empty
  std::vector<int32_t> dropped_;  // where what is kept is numbered anew: what stood between the first page and the rest
};

}  // namespace kvasir
