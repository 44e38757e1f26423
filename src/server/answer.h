// The answer to a request that generates: an exchange over Work, in the words of some API.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/exchange.h"
#include "server/work.h"

namespace kvasir::server {

/// How one API writes answers down. One object per request; the members are called by one thread at a time.
class AnswerFormat {
 public:
  AnswerFormat() = default;
  virtual ~AnswerFormat() = default;
  AnswerFormat(const AnswerFormat&) = delete;
  AnswerFormat& operator=(const AnswerFormat&) = delete;

  // Streams: each appends events to `out`.
  virtual void Begin(std::string& out, const Work& work) = 0;
  virtual void Piece(std::string& out, size_t choice, const Produced& fresh) = 0;
  virtual void End(std::string& out, size_t choice, const Completion& end) = 0;
  virtual void Last(std::string& out, const Work& work) = 0;
  virtual void Break(std::string& out, const ApiError& error) = 0;  ///< Instead of all that was to follow.

  /// What keeps a quiet stream open.
  [[nodiscard]] virtual std::string Ping() const { return ": the answer is on its way\n\n"; }

  /// The answer as a whole, when all choices have ended without an error.
  [[nodiscard]] virtual Json Whole(const Work& work) = 0;
  /// The answer when one has not.
  [[nodiscard]] virtual HttpResponse Failure(const ApiError& error) { return ErrorResponse(error); }
};

/// An exchange that streams `work` or waits for all of it.
[[nodiscard]] std::shared_ptr<Exchange> MakeAnswer(std::shared_ptr<Work> work, std::unique_ptr<AnswerFormat> format,
                                                   bool stream);

/// Appends one server-sent event: "data: {...}", with "event: NAME" before it if there is a name.
void AppendEvent(std::string& out, const Json& data, std::string_view name = "");

/// What a generation that did not end by itself means to the client; none if it ended well.
[[nodiscard]] std::optional<ApiError> ErrorOf(const Result<Completion>& end);

/// A log probability that JSON can hold: minus infinity is -9999.
[[nodiscard]] double FiniteLogprob(double logprob);

/// {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details": {"cached_tokens"}}
[[nodiscard]] Json UsageJson(const Usage& usage);

/// Like "chatcmpl-9f86d081884c7d65".
[[nodiscard]] std::string NewId(const char* prefix);
/// Seconds since 1970.
[[nodiscard]] int64_t Now();

}  // namespace kvasir::server
