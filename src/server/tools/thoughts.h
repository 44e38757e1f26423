// Telling what a model thinks from what it answers.
//
// Models that reason write their thoughts before the answer, between two marks; some templates write the first mark
// themselves, at the end of the prompt. Clients want the thoughts apart, as they come. Marks count at the beginning of
// an answer only: later they are text.
#pragma once

#include <string>
#include <string_view>

#include "server/tools/answer_parser.h"

namespace kvasir::server {

/// The marks around thoughts.
struct ThoughtStyle {
  std::string_view open;
  std::string_view close;

  /// Whether a prompt ends where thoughts have begun.
  [[nodiscard]] bool BeginsIn(std::string_view prompt) const;
};

/// The marks of the models with this chat template; null where none are known.
[[nodiscard]] const ThoughtStyle* ThoughtsOf(std::string_view chat_template);

/// Takes the thoughts from the beginning of one answer. Cutting the text into other pieces never changes the outcome.
/// Not thread-safe.
class ThoughtReader {
 public:
  /// `inside`: the prompt has opened them.
  ThoughtReader(const ThoughtStyle& style, bool inside)
      : style_(&style), state_(inside ? State::kInside : State::kBefore) {}

  /// Takes the next piece, appends thoughts that have become certain, and returns what is certain not to be one.
  [[nodiscard]] std::string Push(std::string_view text, CallEvents& out);
  /// The answer has ended: the rest, alike.
  [[nodiscard]] std::string Finish(CallEvents& out);

 private:
  enum class State {
    kBefore,  // nothing but white space has come
    kInside,
    kBehind,  // white space between thoughts and answer belongs to neither
    kAnswer,
  };
  // Whether there is more to do with the text at hand.
  bool Step(CallEvents& out, std::string& answer);
  void EmitThought(size_t size, CallEvents& out);

  const ThoughtStyle* style_;
  State state_;
  bool begun_ = false;  // a thought has been emitted
  std::string held_;
};

}  // namespace kvasir::server
