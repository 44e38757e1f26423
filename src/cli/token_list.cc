#include "cli/token_list.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "cli/utf8_text.h"

namespace kvasir::cli {
namespace {

constexpr size_t kShownBytes = 20;

std::string Shown(std::string_view item) {
  return Escape(item.substr(0, kShownBytes)) + (item.size() > kShownBytes ? "..." : "");
}

}  // namespace

Result<std::vector<int32_t>> ParseTokenList(std::string_view text) {
  text = TrimBlanks(text);
  if (text.starts_with('[')) {
    if (!text.ends_with(']'))
      return Fail(ErrorCode::kInvalidArgument, "the list of token ids begins with [ but does not end with ]");
    text = text.substr(1, text.size() - 2);
  }
  std::vector<int32_t> ids;
  const std::string separators = std::string(kBlanks) + ",";
  for (size_t at = text.find_first_not_of(separators); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    const std::string_view item = text.substr(at, end - at);
    int32_t id = 0;
    const auto [rest, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    if (error != std::errc() || rest != item.data() + item.size() || id < 0) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' (item {}) is not a token id", Shown(item), ids.size() + 1));
    }
    ids.push_back(id);
    at = text.find_first_not_of(separators, end);
  }
  return ids;
}

}  // namespace kvasir::cli
