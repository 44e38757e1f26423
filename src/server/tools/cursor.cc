#include "server/tools/cursor.h"

#include <algorithm>

namespace kvasir::server {

bool IsSpace(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

size_t OpenEnd(std::string_view text, std::string_view word) {
  if (word.empty()) return 0;
  for (size_t length = std::min(text.size(), word.size() - 1); length > 0; --length) {
    if (text.ends_with(word.substr(0, length))) return length;
  }
  return 0;
}

size_t ValueScanner::Take(std::string_view text) {
  size_t i = 0;
  for (; i < text.size() && !done_; ++i) {
    const char c = text[i];
    if (quote_ != 0) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == quote_) {
        quote_ = 0;
        done_ = depth_ == 0;
      }
      continue;
    }
    const bool opens = c == '{' || c == '[' || c == '(';
    const bool closes = c == '}' || c == ']' || c == ')';
    const bool divides = closes || c == ',' || c == ':' || c == '<' || IsSpace(c);
    if (depth_ == 0 && (scalar_ ? divides || opens : divides)) {
      done_ = true;
      break;
    }
    if (opens) {
      ++depth_;
    } else if (closes) {
      --depth_;
      done_ = depth_ <= 0;
    } else if (quotes_.contains(c)) {
      quote_ = c;
    } else if (!started_) {
      scalar_ = true;
    }
    started_ = true;
  }
  return i;
}

void Cursor::Space() {
  while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
}

bool Cursor::Literal(std::string_view literal) {
  if (rest().starts_with(literal)) {
    at_ += literal.size();
    return true;
  }
  if (literal.starts_with(rest())) ran_out_ = true;
  return false;
}

bool Cursor::Words(std::string_view words) {
  const size_t begin = at_;
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    Space();
    if (!Literal(words.substr(0, end))) {
      at_ = begin;
      return false;
    }
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return true;
}

bool Cursor::Peek(char c) {
  if (at_ < text_.size()) return text_[at_] == c;
  ran_out_ = true;
  return false;
}

std::optional<std::string> Cursor::Name(std::span<const Tool> tools) {
  const std::string_view all = rest();
  const size_t end = static_cast<size_t>(std::find_if_not(all.begin(), all.end(), IsNameCharacter) - all.begin());
  const std::string_view name = all.substr(0, end);
  if (end == all.size()) {
    ran_out_ = ran_out_ ||
               std::any_of(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name.starts_with(name); });
    return std::nullopt;
  }
  if (std::none_of(tools.begin(), tools.end(), [&](const Tool& tool) { return tool.name == name; })) {
    return std::nullopt;
  }
  at_ += end;
  return std::string(name);
}

std::optional<std::string> Cursor::JsonString() {
  if (!Peek('"')) return std::nullopt;
  const std::optional<std::string> raw = JsonValue();
  if (!raw) return std::nullopt;
  const Json value = Json::parse(*raw, nullptr, /*allow_exceptions=*/false);
  if (value.is_string()) return value.get<std::string>();
  at_ -= raw->size();
  return std::nullopt;
}

std::optional<std::string> Cursor::JsonValue() {
  ValueScanner scanner;
  const std::string_view all = rest();
  const size_t size = scanner.Take(all);
  if (!scanner.done()) {
    ran_out_ = true;
    return std::nullopt;
  }
  if (size == 0) return std::nullopt;
  at_ += size;
  return std::string(all.substr(0, size));
}

std::optional<std::string> Cursor::Until(std::string_view end) {
  const std::string_view all = rest();
  const size_t found = all.find(end);
  if (found == std::string_view::npos) {
    ran_out_ = true;
    return std::nullopt;
  }
  at_ += found + end.size();
  return std::string(all.substr(0, found));
}

}  // namespace kvasir::server
