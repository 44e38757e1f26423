// A place in a text that a parser reads from the left.
#pragma once

#include <cstddef>
#include <string_view>

namespace kvasir::grammar {

/// Bounds of every notation: how deep groups may nest, and the largest number of a repeat.
inline constexpr int kDeepestGroup = 200;
inline constexpr int kMostTimes = 65'535;

/// What the recursive descents over a notation share. The text must outlive it.
class TextCursor {
 protected:
  explicit TextCursor(std::string_view text) : text_(text) {}

  [[nodiscard]] bool AtEnd() const { return at_ == text_.size(); }
  /// The next byte, 0 at the end.
  [[nodiscard]] char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  [[nodiscard]] bool AtDigit() const { return Peek() >= '0' && Peek() <= '9'; }
  /// Goes past `expected` where the text goes on with it.
  bool Take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  /// Goes past the digits that follow; their value, or `most` + 1 where it is larger than `most`.
  int TakeNumber(int most) {
    int value = 0;
    for (; AtDigit(); ++at_) value = value > most ? value : value * 10 + (Peek() - '0');
    return value > most ? most + 1 : value;
  }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace kvasir::grammar
