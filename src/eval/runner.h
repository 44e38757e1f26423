// An engine with one session that is timed, and two of them in lock-step.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
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

/// An engine with one session, and the seconds that it computed.
class Runner {
 public:
  /// `context` is the engine's where `options` name none.
  [[nodiscard]] static Result<Runner> Create(EngineOptions options, int context);

  /// Forgets what was computed.
  void Reset() { session_->Reset(); }
  /// Computes `tokens` behind what is there and gives the logits of those from index `first` on, counted in `tokens`.
  [[nodiscard]] Status Run(std::span<const int32_t> tokens, int first, const OnLogits& on_logits);

  /// Lets a cache that evicts come down to its budget now.
  [[nodiscard]] Status Compress() { return session_->CompressCache(); }

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] double seconds() const { return seconds_; }  ///< Without those of the callbacks.

 private:
  Runner() = default;

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  double seconds_ = 0;
};

/// One position of a text, computed twice.
struct LockstepRow {
  int position;
  std::span<const float> exact;  ///< Logits [V] of exact mode.
  std::span<const float> asked;  ///< Logits [V] of the configuration that was asked for.
  int32_t next;                  ///< The token that follows in the text.
};

/// A configuration and exact mode over the same text, a few tokens at a time: so the logits kept for the comparison are
/// those of kPieceTokens positions, however long the context.
class Lockstep {
 public:
  static constexpr int kPieceTokens = 128;

  [[nodiscard]] static Result<Lockstep> Create(const EngineOptions& options, const EvalText& text);

  [[nodiscard]] int chunks() const { return static_cast<int>(chunks_.size()); }
  /// Computes chunk number `chunk` and calls `on_row` for its positions from `first` on, in order, the last excepted.
  [[nodiscard]] Status RunChunk(int chunk, int first, const std::function<void(const LockstepRow&)>& on_row);

  [[nodiscard]] Runner& exact() { return exact_; }
  [[nodiscard]] Runner& asked() { return asked_; }

 private:
  Lockstep(Runner exact, Runner asked) : exact_(std::move(exact)), asked_(std::move(asked)) {}

  Runner exact_;
  Runner asked_;
  std::vector<std::vector<int32_t>> chunks_;
  std::vector<float> truth_;  // [kPieceTokens, V]
};

}  // namespace kvasir::eval
