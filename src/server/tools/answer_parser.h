// Reading an answer while it is being written: what comes in, and what becomes of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvasir::server {

/// A piece of an answer.
struct CallEvent {
  enum class Kind {
    kThought,    ///< `text` that the model wrote for itself.
    kContent,    ///< `text` of the answer.
    kBegin,      ///< A call of the function `text`.
    kArguments,  ///< More of its arguments.
    kEnd,        ///< It is complete.
  };
  Kind kind = Kind::kContent;
  std::string text;

  bool operator==(const CallEvent&) const = default;
};
using CallEvents = std::vector<CallEvent>;

/// Reads one answer. Not thread-safe.
class AnswerParser {
 public:
  AnswerParser() = default;
  virtual ~AnswerParser() = default;
  AnswerParser(const AnswerParser&) = delete;
  AnswerParser& operator=(const AnswerParser&) = delete;

  /// Takes the next piece of the answer and appends what has become certain.
  virtual void Push(std::string_view text, CallEvents& out) = 0;
  /// The answer has ended: appends the rest. A call that was cut off ends with the arguments it has.
  virtual void Finish(CallEvents& out) = 0;

 protected:
  /// Appends an event; texts of the same kind are joined, and empty ones left out.
  static void Emit(CallEvents& out, CallEvent::Kind kind, std::string_view text);
};

}  // namespace kvasir::server
