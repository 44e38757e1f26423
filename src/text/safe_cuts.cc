#include "text/safe_cuts.h"

#include <utility>

#include "text/utf8.h"

namespace kvasir::text {

SafeCuts::SafeCuts() : slots_(1024, kFree) {}

void SafeCuts::Insert(char32_t left, char32_t right) {
  if (left < 128 && right < 128) {
    ascii_[left][right] = true;
    return;
  }
  if (count_ * 2 >= slots_.size()) {
    const std::vector<uint64_t> old = std::exchange(slots_, std::vector<uint64_t>(slots_.size() * 2, kFree));
    for (const uint64_t key : old) {
      if (key != kFree) slots_[Locate(key)] = key;
    }
  }
  uint64_t& slot = slots_[Locate(KeyOf(left, right))];
  count_ += slot == kFree ? 1 : 0;
  slot = KeyOf(left, right);
}

// Malformed bytes all count as U+FFFD, here and in FirstPart: that can only make cuts rarer.
void SafeCuts::AddToken(std::string_view token) {
  if (token.empty()) return;
  Utf8Char left = DecodeUtf8(token, 0);
  for (size_t at = static_cast<size_t>(left.length); at < token.size();) {
    const Utf8Char right = DecodeUtf8(token, at);
    Insert(left.code_point, right.code_point);
    at += static_cast<size_t>(right.length);
    left = right;
  }
}

size_t SafeCuts::FirstPart(std::string_view text) const {
  Utf8Char left = DecodeUtf8(text, 0);
  auto at = static_cast<size_t>(left.length);
  while (at < text.size()) {
    const Utf8Char right = DecodeUtf8(text, at);
    if (!Joined(left.code_point, right.code_point)) break;
    at += static_cast<size_t>(right.length);
    left = right;
  }
  return at;
}

}  // namespace kvasir::text
