/// @file
/// Answers of a given form: a JSON document of a schema, a text of a regular expression or of a grammar.
///
///     auto grammar = kvasir::Grammar::FromJsonSchema(R"({"type": "array", "items": {"type": "integer"}})");
///     request.constraint = *kvasir::Constrain(engine, *grammar);
///
/// Whatever the model wants to say, only tokens are chosen that can still become such a text, and the answer ends where
/// the text is complete. An answer that ends for another reason (max_tokens, a stop string) may be cut off in its
/// middle.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/result.h"

namespace kvasir {

/// A set of texts. An immutable value, cheap to copy; thread-safe.
class Grammar {
 public:
  /// The JSON documents of a schema (draft 2020-12; docs/structured-output.md says what is supported). Properties come
  /// in the schema's order, and blanks only where one may follow a comma or a colon. Errors: kInvalidArgument and
  /// kUnsupported, with the JSON pointer of what is wrong or not supported: nothing is ignored.
  [[nodiscard]] static Result<Grammar> FromJsonSchema(std::string_view schema);
  /// Any JSON object.
  [[nodiscard]] static Grammar AnyJsonObject();
  /// The texts that a regular expression matches from the first to the last character. Errors: kInvalidArgument with
  /// the place of the error, kUnsupported for look-around and back references.
  [[nodiscard]] static Result<Grammar> FromRegex(std::string_view pattern);
  /// A grammar in GBNF, the notation of llama.cpp, with the rule `root`. Errors: kInvalidArgument, with line and
  /// column.
  [[nodiscard]] static Result<Grammar> FromGbnf(std::string_view text);

  /// Exactly `text`, in ordinary tokens, whichever.
  [[nodiscard]] static Grammar Literal(std::string_view text);
  /// Exactly the one control or added token that is spelled `text`, such as "<tool_call>". A model that has none is an
  /// error of Constrain.
  [[nodiscard]] static Grammar Special(std::string_view text);
  /// One after the other.
  [[nodiscard]] static Grammar Sequence(const std::vector<Grammar>& parts);
  /// One of them.
  [[nodiscard]] static Grammar Choice(const std::vector<Grammar>& parts);
  /// `part`, `min` to `max` times; max -1: no bound. A negative `min` counts as 0, a `max` below `min` as `min`.
  [[nodiscard]] static Grammar Repeat(const Grammar& part, int min, int max);
  /// Any valid UTF-8 text in which none of `words` occurs: free text that a word ends. Empty words are ignored. Very
  /// many or long words are an error when the grammar is used.
  [[nodiscard]] static Grammar TextWithout(const std::vector<std::string>& words);

  /// Whether `text` is one of the texts; special tokens count as the text they are spelled with. Errors: those of
  /// Constrain.
  [[nodiscard]] Result<bool> Matches(std::string_view text) const;

  struct Impl;
  /// @private Called by the functions above.
  explicit Grammar(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  /// @private For the rooms of the library.
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A constraint for one request of `engine`, which must outlive it. What was compiled is kept and shared by later
/// requests with the same grammar. May be called on any thread; compiling takes a millisecond for a usual schema.
/// Errors: kInvalidArgument where no text fits, a rule begins with itself, or the model lacks a special token;
/// kResourceExhausted where the grammar needs too many states, with the way out.
[[nodiscard]] Result<std::shared_ptr<TokenConstraint>> Constrain(const Engine& engine, const Grammar& grammar);
/// The same for a vocabulary without a model; the masks have one bit per token of `tokenizer`.
[[nodiscard]] Result<std::shared_ptr<TokenConstraint>> Constrain(const Tokenizer& tokenizer, const Grammar& grammar);

}  // namespace kvasir
