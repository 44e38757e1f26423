// The text that needles are hidden in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::eval {

/// The sentences of `text`: they end with . ! or ? before white space (or the end of the text) and are given with
/// single spaces between their words. What has neither letter nor digit is left out.
[[nodiscard]] std::vector<std::string> SplitSentences(std::string_view text);

/// An endless list of sentences. Immutable and thread-safe.
class Haystack {
 public:
  /// Made-up sentences without numbers, different for every number and seed.
  explicit Haystack(uint64_t seed) : seed_(seed) {}
  /// The sentences of `text`, again and again. At least one sentence is needed.
  explicit Haystack(std::vector<std::string> sentences);

  [[nodiscard]] std::string Sentence(uint64_t number) const;
  /// After so many sentences they repeat; a large number where they do not.
  [[nodiscard]] uint64_t period() const;

 private:
  uint64_t seed_ = 0;
  std::vector<std::string> sentences_;
};

}  // namespace kvasir::eval
