// Reading a text of which only the beginning may be there yet.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/tools/tool.h"

namespace kvasir::server {

/// How far a text that is still being written matches what is looked for.
enum class Seen {
  kNo,      ///< It is something else, whatever follows.
  kPartly,  ///< It may become it.
  kYes,
};

/// Finds the end of a value that arrives in pieces.
class ValueScanner {
 public:
  /// `quotes` are the characters that open and close a text: those of JSON, or of Python.
  explicit ValueScanner(std::string_view quotes = "\"") : quotes_(quotes) {}

  /// Takes characters from the beginning of `text` up to the value's end; says how many belong to it. Nothing more is
  /// taken after done().
  size_t Take(std::string_view text);
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] bool done() const { return done_; }

 private:
  std::string_view quotes_;
  bool started_ = false;
  bool done_ = false;
  bool scalar_ = false;  // a number or a word: it ends before what cannot be part of it
  bool escaped_ = false;
  char quote_ = 0;  // of the string that is open, or 0
  int depth_ = 0;
};

/// Goes through a text step by step. A step that does not fit leaves the place unchanged and returns false (or
/// nothing); where the text ended before that was certain, outcome() is kPartly from then on.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  [[nodiscard]] size_t at() const { return at_; }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  /// What a step that did not fit means for the whole.
  [[nodiscard]] Seen outcome() const { return ran_out_ ? Seen::kPartly : Seen::kNo; }

  void Skip(size_t size) { at_ += size; }
  /// Back to where the cursor began; the outcome stays.
  void Rewind() { at_ = 0; }

  /// White space, as much as there is; always fits.
  void Space();
  bool Literal(std::string_view literal);
  /// The words of `words`, which single spaces separate there and any white space, or none, in the text.
  bool Words(std::string_view words);
  /// Whether the text goes on with `c`, which is not taken.
  bool Peek(char c);
  /// The longest of the tools' names that ends where a name may end.
  std::optional<std::string> Name(std::span<const Tool> tools);
  /// A string of JSON, decoded.
  std::optional<std::string> JsonString();
  /// A value of JSON as it stands there.
  std::optional<std::string> JsonValue();
  /// Everything before `end`, and `end`.
  std::optional<std::string> Until(std::string_view end);

 private:
  std::string_view text_;
  size_t at_ = 0;
  bool ran_out_ = false;
};

/// The length of the longest end of `text` that is the beginning of `word`, but not the whole of it.
[[nodiscard]] size_t OpenEnd(std::string_view text, std::string_view word);

[[nodiscard]] bool IsSpace(char c);

}  // namespace kvasir::server
