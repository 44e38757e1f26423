// A session that is timed, and several of them in lock-step with exact mode.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/eval.h"

namespace kvasir::eval {

/// Called with an index and the logits [V] there.
using OnLogits = std::function<void(int, std::span<const float>)>;

/// The error of an evaluation whose progress callback returned false.
[[nodiscard]] inline Error Cancelled() {
  return {ErrorCode::kCancelled, "the evaluation was cancelled"};
}

/// What an engine computes with, such as "compute balanced, cache f16".
[[nodiscard]] std::string ConfigurationOf(const Engine& engine);
[[nodiscard]] std::string ConfigurationOf(ComputeMode compute, const KvSpec& kv);

/// What sequences of `options`' context need at once, one with each of `caches`.
[[nodiscard]] Result<size_t> PeakBytesOfAll(const EngineOptions& options, std::span<const KvSpec> caches);

/// A session of an engine, and the seconds that it computed.
class Runner {
 public:
  /// With an engine of its own; `context` is the engine's where `options` name none.
  [[nodiscard]] static Result<Runner> Create(EngineOptions options, int context);
  /// One more session of `engine`, whose cache is as `kv` says.
  [[nodiscard]] static Result<Runner> Create(std::shared_ptr<Engine> engine, const KvSpec& kv);

  /// Forgets what was computed.
  void Reset() { session_->Reset(); }
  /// Computes `tokens` behind what is there and gives the logits of those from index `first` on, counted in `tokens`.
  /// `step`: so many at a time, 0: the engine's choice.
  [[nodiscard]] Status Run(std::span<const int32_t> tokens, int first, const OnLogits& on_logits, int step = 0);

  /// Lets a cache that evicts come down to its budget now.
  [[nodiscard]] Status Compress() { return session_->CompressCache(); }

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] const std::shared_ptr<Engine>& shared_engine() const { return engine_; }
  [[nodiscard]] const KvSpec& kv() const { return kv_; }  ///< As it is in use: no "auto".
  [[nodiscard]] size_t kv_bytes() const { return session_->kv_bytes(); }
  [[nodiscard]] double seconds() const { return seconds_; }  ///< Without those of the callbacks.

 private:
  Runner() = default;

  std::shared_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  KvSpec kv_;
  double seconds_ = 0;
};

/// One position of a text, in exact mode and in another configuration.
struct LockstepRow {
  size_t configuration;  ///< Which one.
  int position;
  std::span<const float> exact;  ///< Logits [V] of exact mode.
  std::span<const float> asked;  ///< Logits [V] of the configuration.
  int32_t next;                  ///< The token that follows in the text.
};
using OnRow = std::function<void(const LockstepRow&)>;

/// How a chunk is computed.
struct ChunkPlan {
  int chunk = 0;        ///< Which one.
  int first = 0;        ///< Rows are given of positions from here on.
  int decode_tail = 0;  ///< So many positions at the end are computed one by one, and timed.
  /// Asked after each piece of each configuration; false ends the chunk with kCancelled.
  std::function<bool()> keep_going;
};

/// Exact mode and any number of caches over the same text, a few tokens at a time: so the logits kept for the
/// comparison are those of kPieceTokens positions, however long the context. Configurations take turns within each
/// piece, and the same tokens at the same depth are timed within seconds of each other.
class Lockstep {
 public:
  static constexpr int kPieceTokens = 128;
  static constexpr int kUnscoredTokens = 512;  ///< Of a piece of which no row is given.
  static constexpr int kDecodeTokens = 8;      ///< Of a piece that is computed token by token.

  /// `options` with each of `caches` in place of its own; all share one set of weights, and where that is of exact
  /// mode, with exact mode.
  [[nodiscard]] static Result<Lockstep> Create(const EngineOptions& options, std::span<const KvSpec> caches,
                                               const EvalText& text);
  /// With the cache of `options`.
  [[nodiscard]] static Result<Lockstep> Create(const EngineOptions& options, const EvalText& text) {
    return Create(options, {&options.kv, 1}, text);
  }

  [[nodiscard]] int chunks() const { return static_cast<int>(chunks_.size()); }
  [[nodiscard]] std::span<const int32_t> chunk(int index) const { return chunks_[static_cast<size_t>(index)]; }
  /// Computes a chunk and calls `on_row` for each configuration and position from the first asked for on, the last
  /// position excepted; of a configuration in order.
  [[nodiscard]] Status RunChunk(const ChunkPlan& plan, const OnRow& on_row);
  /// Computes a configuration no longer, and gives its memory back.
  void Drop(size_t configuration) { asked_[configuration].reset(); }

  [[nodiscard]] Runner& exact() { return exact_; }
  /// One that was not dropped.
  [[nodiscard]] Runner& asked(size_t configuration = 0) { return *asked_[configuration]; }
  /// Tokens per second of each piece that was computed token by token.
  [[nodiscard]] std::span<const double> decode_speeds(size_t configuration) const { return speeds_[configuration]; }

 private:
  explicit Lockstep(Runner exact) : exact_(std::move(exact)) {}

  struct Piece {
    int begin = 0;
    std::span<const int32_t> tokens;
    bool scored = false;
    bool one_by_one = false;
  };
  [[nodiscard]] static Piece PieceAt(std::span<const int32_t> tokens, const ChunkPlan& plan, int begin);
  [[nodiscard]] Status RunExact(const Piece& piece);
  [[nodiscard]] Status RunAsked(size_t configuration, const Piece& piece, std::span<const int32_t> tokens,
                                const OnRow& on_row);
  [[nodiscard]] std::span<float> truth(int index) {
    const size_t vocabulary = truth_.size() / kPieceTokens;
    return std::span(truth_).subspan(static_cast<size_t>(index) * vocabulary, vocabulary);
  }

  Runner exact_;
  std::vector<std::optional<Runner>> asked_;
  std::vector<std::vector<double>> speeds_;
  std::vector<std::vector<int32_t>> chunks_;
  std::vector<float> truth_;  // [kPieceTokens, V]
};

}  // namespace kvasir::eval
