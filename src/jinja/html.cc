#include "jinja/html.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "jinja/numbers.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

constexpr std::array<std::pair<std::string_view, char32_t>, 24> kEntities = {{
    {"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},     {"apos", '\''},    {"nbsp", 0xA0},
    {"copy", 0xA9},    {"reg", 0xAE},     {"deg", 0xB0},      {"middot", 0xB7},  {"laquo", 0xAB},   {"raquo", 0xBB},
    {"times", 0xD7},   {"divide", 0xF7},  {"ndash", 0x2013},  {"mdash", 0x2014}, {"lsquo", 0x2018}, {"rsquo", 0x2019},
    {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"hellip", 0x2026}, {"euro", 0x20AC},  {"trade", 0x2122}, {"bull", 0x2022},
}};

/// The character that `name` (between & and ;) stands for.
std::optional<char32_t> FindEntity(std::string_view name) {
  if (name.starts_with('#')) {
    name.remove_prefix(1);
    const bool hex = name.starts_with('x') || name.starts_with('X');
    if (hex) name.remove_prefix(1);
    if (name.empty() || name.size() > 7 || name.find_first_of("+-_ ") != std::string_view::npos) return std::nullopt;
    const auto number = ParseInt(name, hex ? 16 : 10);
    if (!number || !*number) return std::nullopt;
    return static_cast<char32_t>(**number);
  }
  const auto it = std::ranges::find(kEntities, name, &std::pair<std::string_view, char32_t>::first);
  return it == kEntities.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

std::string UnescapeHtml(std::string_view text) {
  constexpr size_t kLongestName = 12;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t end = text[i] == '&' ? text.substr(i, kLongestName).find(';') : std::string_view::npos;
    const auto entity = end == std::string_view::npos ? std::nullopt : FindEntity(text.substr(i + 1, end - 1));
    if (entity) {
      AppendUtf8(out, *entity);
      i += end;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string StripTags(std::string_view text) {
  std::string kept;
  size_t position = 0;
  for (size_t start = text.find('<'); start != std::string_view::npos; start = text.find('<', position)) {
    const bool comment = text.substr(start).starts_with("<!--");
    const std::string_view close = comment ? "-->" : ">";
    const size_t end = text.find(close, comment ? start + 4 : start);
    if (end == std::string_view::npos) break;
    kept += text.substr(position, start - position);
    position = end + close.size();
  }
  kept += text.substr(position);
  std::string collapsed;
  for (std::string_view rest = StripLeft(kept); !rest.empty(); rest = StripLeft(rest)) {
    size_t end = 0;
    while (end < rest.size() && !IsSpace(DecodeAt(rest, end).value)) end += DecodeAt(rest, end).bytes;
    if (!collapsed.empty()) collapsed += ' ';
    collapsed += rest.substr(0, end);
    rest.remove_prefix(end);
  }
  return UnescapeHtml(collapsed);
}

}  // namespace kvasir::jinja
