/// @file
/// The engine: a loaded model, and sessions that generate text with it.
///
///     auto engine = kvasir::Engine::Load({.model = "smollm2"});
///     auto session = (*engine)->NewSession();
///     auto answer = (*session)->Generate({.prompt = (*engine)->tokenizer().Encode("Once upon a time")});
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/chat_template.h"
#include "kvasir/options.h"
#include "kvasir/result.h"
#include "kvasir/sampling.h"
#include "kvasir/tokenizer.h"

namespace kvasir {

/// What kind of model was loaded.
struct ModelInfo {
  std::string path;          ///< Of the GGUF file.
  std::string name;          ///< Its general.name, or else the architecture's.
  std::string architecture;  ///< "llama", "gemma3", ...
  int layers = 0;            ///< L
  int heads = 0;             ///< H: query heads.
  int kv_heads = 0;          ///< KVH, which divides H.
  int head_dim = 0;          ///< D: features of a head.
  int embedding = 0;         ///< E: features of a token between layers.
  int vocabulary = 0;        ///< V: the model gives so many logits.
  int trained_context = 0;   ///< In tokens.
  size_t file_bytes = 0;     ///< Of all parts of a split file.
  /// Bytes of weights read for one token (the head once, one row of the embedding); 0 where no weights were loaded.
  size_t weight_bytes_per_token = 0;
};

/// Bytes in use, by purpose.
struct MemoryReport {
  size_t weight_bytes = 0;         ///< Packed weights and small tensors in our memory.
  size_t mapped_bytes = 0;         ///< The model file, mapped; pages the system may drop.
  size_t kv_bytes = 0;             ///< Live KV pages.
  size_t kv_budget_bytes = 0;      ///< What kv_bytes, with what eviction policies record, never exceeds.
  size_t activation_bytes = 0;     ///< Buffers of a forward pass.
  size_t peak_resident_bytes = 0;  ///< Of the whole process, without what MeasureLimits took.
};

/// Why a generation ended.
enum class FinishReason {
  kStop,       ///< The model ended its answer, or a stop string appeared.
  kLength,     ///< max_tokens, or the context is full.
  kCancelled,  ///< The callback returned false, or the flag was set.
  kDeadline,   ///< The time allowed for it was over (Submission::timeout).
};

/// A token and the natural logarithm of the probability that the model gave it, before any sampling stage.
struct ScoredToken {
  int32_t token = -1;  ///< Its id.
  double logprob = 0;  ///< At most 0; minus infinity for an impossible token.
};

/// What the model thought of one token of a text.
struct TokenScores {
  ScoredToken chosen;  ///< The token that the text has.
  /// How many tokens are more likely; those with the same logit and a lower id count. 0 = the greedy choice.
  int32_t rank = 0;
  /// The SamplingOptions::n_probs most likely tokens, most likely first; `chosen` has the same bits here.
  std::vector<ScoredToken> top;
};

/// One token as it is generated.
struct TokenEvent {
  int32_t token = 0;      ///< -1 for the text that was held back to the end, which belongs to no new token.
  std::string_view text;  ///< Text that became complete with this token: whole code points, maybe empty.
  /// Where Request::logprobs asks for it, else null. Valid during the call.
  const TokenScores* scores = nullptr;
};

/// Which tokens may come next: a grammar, a schema, a list of choices. One object serves one request: Mask is called
/// before each token and Accept after it, one after the other, but on any thread, while other requests' are called too.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;  ///< Of whoever holds the last reference.
  /// One bit per token of the vocabulary (bit i % 32 of word i / 32), set where token i may come next; empty: any may.
  /// Valid until the next call. An error ends the request with that error.
  [[nodiscard]] virtual Result<std::span<const uint32_t>> Mask() = 0;
  /// The token that was chosen.
  virtual void Accept(int32_t token) = 0;
};

/// What to do when the context is full.
enum class ContextFull {
  kStop,   ///< End with FinishReason::kLength.
  kShift,  ///< Keep the first `sink_tokens`, drop the oldest half of the rest, go on.
};

/// One generation.
struct Request {
  /// The whole text so far, as tokens. What the session's cache already holds of it is not computed again.
  std::vector<int32_t> prompt;
  /// Tokens to generate at most; negative: until the model stops or the context is full. With a cache for texts without
  /// end (KvSpec::endless) the context is never full: then a number may lead beyond it, and what is negative ends where
  /// the text is as long as the context, but for ContextFull::kShift.
  int max_tokens = -1;
  /// How tokens are chosen. Checked before anything is computed.
  SamplingOptions sampling;
  /// Generation ends before the first of these appears in the text; they are not part of the answer.
  std::vector<std::string> stop;
  /// Generation ends before one of these tokens, as with the model's own end of text.
  std::vector<int32_t> stop_tokens;
  /// Go on where the model would end its answer; `stop` and `stop_tokens` still count.
  bool ignore_end_of_text = false;
  /// Control tokens whose names are part of the text, such as the one that begins a tool call; others have no text.
  std::vector<int32_t> shown_tokens;
  /// Report the scores of each generated token, with SamplingOptions::n_probs alternatives.
  bool logprobs = false;
  /// Report the scores of the prompt's tokens from the second on. Every one of them has then to be computed, so no part
  /// of the prompt is taken from a cache.
  bool prompt_logprobs = false;
  /// Restricts the tokens that may be chosen; null: none is excluded.
  std::shared_ptr<TokenConstraint> constraint;
  /// What happens when prompt and answer fill EngineOptions::context_tokens.
  ContextFull context_full = ContextFull::kStop;
  /// For ContextFull::kShift: the first tokens of the text that stay, rounded up to whole pages of 64.
  int sink_tokens = 4;
  /// Called on the thread that generates (a session's caller) for each token; return false to cancel.
  std::function<bool(const TokenEvent&)> on_token;
  /// Called there after each chunk of the prompt, with tokens done and in all; return false to cancel.
  std::function<bool(int done, int total)> on_prompt;
  /// When set and true, the generation ends at the next layer.
  const std::atomic<bool>* cancel = nullptr;
};

/// What a generation was and cost.
struct Generation {
  std::string text;  ///< The answer, without a stop string. Valid UTF-8.
  /// The answer's tokens, those of a stop string included; the token that ends a text is no part of it.
  std::vector<int32_t> tokens;
  FinishReason reason = FinishReason::kStop;  ///< Why it ended.
  std::string stop_match;                     ///< The one of Request::stop that ended it; empty where none did.
  int prompt_tokens = 0;                      ///< All of Request::prompt.
  int cached_tokens = 0;                      ///< Of the prompt, found in a cache and not computed.
  double prompt_seconds = 0;                  ///< From the start until the first token was chosen.
  double decode_seconds = 0;                  ///< From the first generated token to the last.
  size_t kv_bytes = 0;                        ///< Pages of this sequence at the end, shared ones included.
  uint64_t seed = 0;                          ///< The seed that was used.
  /// What chose the tokens, first to last and with settings: the stages that ran, and no others. For example
  /// "top_k(40) > temperature(0.8) > draw(seed 42)", or "argmax" where the most likely token is always taken.
  std::string sampling;
  std::vector<TokenScores> scores;         ///< One per token where Request::logprobs asks for them.
  std::vector<TokenScores> prompt_scores;  ///< Of prompt tokens 1, 2, ... where Request::prompt_logprobs asks for them.
};

/// One conversation: a token sequence and its KV cache. Not thread-safe; sessions of one engine take turns. To compute
/// many requests together, see kvasir/scheduler.h.
class Session {
 public:
  ~Session();  ///< Gives its pages back, to the engine, which must still be there.
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Generates. Errors: an empty prompt, ids outside the vocabulary, a prompt longer than the context (both numbers are
  /// named; a cache for texts without end takes any), invalid sampling options, no memory for pages. After an error the
  /// cache holds a prefix of what it held.
  [[nodiscard]] Result<Generation> Generate(const Request& request);

  /// Runs `tokens` after what the cache holds and calls `on_logits(index, logits [V])` for each token whose index is
  /// >= `first_logits`, counted in `tokens`: in ascending order, one call at a time, on any thread; the logits are
  /// valid during the call. For evaluation: `chunk` tokens are computed at a time (0: the engine's choice).
  /// Errors: kInvalidArgument for ids outside the vocabulary and for more tokens than the context has room for, no
  /// memory for pages. After an error the cache holds a prefix of what it would hold.
  [[nodiscard]] Status Evaluate(std::span<const int32_t> tokens, int first_logits, int chunk,
                                const std::function<void(int, std::span<const float>)>& on_logits);

  /// Brings the cache down to the budget of EngineOptions::kv now, where it names an eviction policy, as Generate does
  /// at the end of a prompt; a Generate that goes on from here then does not do it again at the end of its own. So a
  /// text can be compressed before the question about it is known, and several questions be asked about it. While
  /// the session holds a compressed text, Evaluate stays within the budget too. Errors: no memory for what is kept.
  [[nodiscard]] Status CompressCache();

  /// Forgets everything.
  void Reset();
  /// Tokens in the cache, and in the text before the next one; with a cache for texts without end those that it still
  /// counts.
  [[nodiscard]] int length() const;
  /// Bytes of the pages that the cache refers to.
  [[nodiscard]] size_t kv_bytes() const;

  struct Impl;
  /// @private Called by Engine::NewSession.
  explicit Session(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

/// A loaded model. Thread-safe: sessions may be made and used from several threads.
class Engine {
 public:
  /// Loads a model. What weights, cache and activations will take is added up before any of it is taken. Errors name
  /// the file and the way out, and nothing is left behind: kNotFound for the model, kCorrupt, kUnsupported for what
  /// Kvasir does not compute, kInvalidArgument for options out of range (or KVASIR_ISA, where this machine lacks it),
  /// kResourceExhausted where memory is short, with the context that would fit.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> Load(const EngineOptions& options);
  ~Engine();  ///< To be called when its sessions and schedulers are gone.
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] const ModelInfo& info() const;         ///< What was loaded. Valid as long as this lives.
  [[nodiscard]] const EngineOptions& options() const;  ///< With defaults filled in. Valid as long as this lives.
  [[nodiscard]] const Tokenizer& tokenizer() const;    ///< The model's. Valid as long as this lives.
  /// The model's chat template, valid as long as this lives. Errors: kNotFound where the file has none; why it does
  /// not parse.
  [[nodiscard]] Result<const ChatTemplate*> chat_template() const;
  /// A session with an empty cache, which takes its pages from EngineOptions::kv_budget_bytes as it grows. This must
  /// outlive it.
  [[nodiscard]] Result<std::unique_ptr<Session>> NewSession();
  /// A session whose cache is as `kv` says and not as EngineOptions::kv does, over the same weights and within the same
  /// budget of bytes, which was planned for the engine's own. Errors: those that Load has for such a specification.
  [[nodiscard]] Result<std::unique_ptr<Session>> NewSession(const KvSpec& kv);
  /// What is in use now, by all sessions and schedulers together.
  [[nodiscard]] MemoryReport memory() const;
  [[nodiscard]] std::string_view isa() const;  ///< The instruction set in use: "vnni", "avx512", "avx2", "ref".

  struct Impl;
  /// @private Called by Load.
  explicit Engine(std::unique_ptr<Impl> impl);
  /// @private For the rooms of the library.
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvasir
