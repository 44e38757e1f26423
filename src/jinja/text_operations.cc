#include "jinja/text_operations.h"

#include <algorithm>

#include "base/check.h"
#include "jinja/python_text.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

std::string_view Strip(std::string_view text, Side side, std::optional<std::string_view> characters) {
  if (!characters) {
    if (side != Side::kRight) text = StripLeft(text);
    return side == Side::kLeft ? text : StripRight(text);
  }
  const std::u32string set = Decode(*characters);
  const auto drops = [&](char32_t c) { return set.find(c) != std::u32string::npos; };
  while (side != Side::kRight && !text.empty() && drops(DecodeAt(text, 0).value)) {
    text.remove_prefix(DecodeAt(text, 0).bytes);
  }
  while (side != Side::kLeft && !text.empty()) {
    const size_t start = PreviousOffset(text, text.size());
    if (!drops(DecodeAt(text, start).value)) break;
    text = text.substr(0, start);
  }
  return text;
}

namespace {

/// Puts `replacement` before every character and at the end, at most `count` times.
std::string Intersperse(std::string_view text, std::string_view replacement, size_t count) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (count > 0) {
      out += replacement;
      --count;
    }
    const size_t bytes = DecodeAt(text, i).bytes;
    out += text.substr(i, bytes);
    i += bytes;
  }
  if (count > 0) out += replacement;
  return out;
}

}  // namespace

Result<std::string> Replace(Runtime& runtime, std::string_view text, std::string_view old, std::string_view replacement,
                            int64_t count) {
  const size_t limit = count < 0 ? SIZE_MAX : static_cast<size_t>(count);
  KV_TRY(runtime.Step(1 + text.size() / 64));
  if (old.empty()) {
    KV_TRY(runtime.Reserve(std::min(limit, CodePointCount(text) + 1), replacement.size() + 1));
    return Intersperse(text, replacement, limit);
  }
  std::string out;
  size_t position = 0;
  for (size_t done = 0; done < limit; ++done) {
    const size_t found = text.find(old, position);
    if (found == std::string_view::npos) break;
    out += text.substr(position, found - position);
    out += replacement;
    position = found + old.size();
    KV_TRY(runtime.Reserve(out.size()));
  }
  out += text.substr(position);
  KV_TRY(runtime.Reserve(out.size()));
  return out;
}

Result<std::vector<std::string_view>> SplitLines(Runtime& runtime, std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeAt(text, i);
    const size_t end = i;
    i += c.bytes;
    if (!IsLineBreak(c.value)) continue;
    if (c.value == '\r' && i < text.size() && text[i] == '\n') ++i;
    lines.push_back(text.substr(start, (keep_ends ? i : end) - start));
    KV_TRY(runtime.Reserve(lines.size(), sizeof(Value)));
    start = i;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

Result<std::string> Pad(Runtime& runtime, std::string_view text, int64_t width, std::string_view fill, Side side) {
  const auto length = static_cast<int64_t>(CodePointCount(text));
  if (width <= length) return std::string(text);
  const int64_t missing = width - length;
  KV_TRY(runtime.Reserve(static_cast<size_t>(missing), fill.size()));
  int64_t left = side == Side::kLeft ? missing : 0;
  // Python gives the odd blank of a centred text to the left only when the width is odd too.
  if (side == Side::kBoth) left = missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return out;
}

Result<Value> TextList(Runtime& runtime, const std::vector<std::string_view>& parts, bool markup) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    KV_TRY(runtime.Step());
    items.push_back(runtime.String(std::string(part), markup));
  }
  return runtime.MakeList(std::move(items));
}

Result<std::string> JoinAsText(Runtime& runtime, std::string_view separator, const std::vector<Value>& items) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += separator;
    KV_TRY(AppendStr(runtime, items[i], out));
  }
  return out;
}

}  // namespace kvasir::jinja
