// Finds stop strings in a stream of text and holds back what might become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Takes text piece by piece and gives out what certainly is not part of a stop string.
class StopMatcher {
 public:
  /// Empty stop strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  /// Takes the next piece and returns the text that may be shown. After stopped() it returns nothing more. The stop
  /// string that ends first counts, the longest of those that end there: so it does not matter how the text is cut.
  std::string Push(std::string_view piece);
  /// The stream has ended: what was held back.
  std::string Flush();
  [[nodiscard]] bool stopped() const { return !match_.empty(); }
  /// The stop string that was found; empty before stopped().
  [[nodiscard]] const std::string& match() const { return match_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  std::string match_;
};

}  // namespace kvasir
