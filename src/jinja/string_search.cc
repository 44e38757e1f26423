// The methods of str that look for something in it, and those that cut it.

#include <algorithm>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/raise.h"
#include "jinja/text_operations.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

struct Window {
  std::string_view text;
  size_t first = 0;   ///< character index of its start in the whole string
  bool valid = true;  ///< false when it starts behind the end: then not even "" is found
};

/// The part of the string between the arguments `start_index` and `start_index` + 1, read like a slice.
Result<Window> ReadWindow(Call& call, size_t start_index) {
  const auto length = static_cast<int64_t>(call.self.text_length());
  int64_t start = 0;
  int64_t end = length;
  if (call.Has(start_index)) {
    KV_ASSIGN(start, call.Int(start_index, 0));
  }
  if (call.Has(start_index + 1)) {
    KV_ASSIGN(end, call.Int(start_index + 1, 0));
  }
  if (start < 0) start = std::max<int64_t>(start < -length ? 0 : start + length, 0);
  if (end < 0) end = std::max<int64_t>(end < -length ? 0 : end + length, 0);
  end = std::min(end, length);
  if (start > end) return Window{{}, 0, false};
  KV_TRY(call.runtime.Step(1 + call.self.text().size() / 64));
  const std::string_view text = call.self.text();
  const size_t from = ByteOffset(text, static_cast<size_t>(start));
  const size_t bytes = ByteOffset(text.substr(from), static_cast<size_t>(end - start));
  return Window{text.substr(from, bytes), static_cast<size_t>(start), true};
}

/// The character index of the needle, or -1.
template <bool from_right>
Result<int64_t> Locate(Call& call) {
  KV_ASSIGN(const std::string_view needle, call.Text(0));
  KV_ASSIGN(const Window window, ReadWindow(call, 1));
  if (!window.valid) return -1;
  const size_t found = from_right ? window.text.rfind(needle) : window.text.find(needle);
  if (found == std::string_view::npos) return -1;
  return static_cast<int64_t>(window.first + CodePointCount(window.text.substr(0, found)));
}

template <bool from_right>
Result<Value> Find(Call& call) {
  KV_ASSIGN(const int64_t index, Locate<from_right>(call));
  return Value::Int(index);
}

template <bool from_right>
Result<Value> Index(Call& call) {
  KV_ASSIGN(const int64_t index, Locate<from_right>(call));
  if (index < 0) return Raise("substring not found");
  return Value::Int(index);
}

Result<Value> Count(Call& call) {
  KV_ASSIGN(const std::string_view needle, call.Text(0));
  KV_ASSIGN(const Window window, ReadWindow(call, 1));
  if (!window.valid) return Value::Int(0);
  if (needle.empty()) return Value::Int(static_cast<int64_t>(CodePointCount(window.text)) + 1);
  int64_t count = 0;
  for (size_t at = window.text.find(needle); at != std::string_view::npos;
       at = window.text.find(needle, at + needle.size())) {
    ++count;
  }
  return Value::Int(count);
}

template <bool at_start>
Result<Value> StartsOrEnds(Call& call) {
  KV_ASSIGN(const Window window, ReadWindow(call, 1));
  const Value one[] = {*call[0]};
  const std::span<const Value> candidates = call[0]->is_tuple() ? std::span<const Value>(call[0]->items()) : one;
  for (const Value& candidate : candidates) {
    if (!candidate.is_string()) {
      return Raise("{} first arg must be str or a tuple of str, not {}", call.name, candidate.type_name());
    }
    const bool holds = at_start ? window.text.starts_with(candidate.text()) : window.text.ends_with(candidate.text());
    if (window.valid && holds) return Value::Bool(true);
  }
  return Value::Bool(false);
}

/// Collects the parts of a split, within the budget.
class Parts {
 public:
  explicit Parts(Runtime& runtime) : runtime_(runtime) {}

  Status Add(std::string_view part) {
    views_.push_back(part);
    return runtime_.Reserve(views_.size(), sizeof(Value));
  }
  std::vector<std::string_view> TakeReversed() {
    std::ranges::reverse(views_);
    return std::move(views_);
  }
  std::vector<std::string_view> Take() { return std::move(views_); }

 private:
  Runtime& runtime_;
  std::vector<std::string_view> views_;
};

using SplitResult = Result<std::vector<std::string_view>>;

SplitResult SplitAtSpace(Runtime& runtime, std::string_view text, int64_t limit) {
  Parts parts(runtime);
  text = StripLeft(text);
  while (!text.empty()) {
    if (limit-- == 0) {
      KV_TRY(parts.Add(text));
      break;
    }
    size_t end = 0;
    while (end < text.size() && !IsSpace(DecodeAt(text, end).value)) end += DecodeAt(text, end).bytes;
    KV_TRY(parts.Add(text.substr(0, end)));
    text = StripLeft(text.substr(end));
  }
  return parts.Take();
}

SplitResult SplitAtSpaceFromRight(Runtime& runtime, std::string_view text, int64_t limit) {
  Parts parts(runtime);
  text = StripRight(text);
  while (!text.empty()) {
    if (limit-- == 0) {
      KV_TRY(parts.Add(text));
      break;
    }
    size_t start = text.size();
    while (start > 0) {
      const size_t previous = PreviousOffset(text, start);
      if (IsSpace(DecodeAt(text, previous).value)) break;
      start = previous;
    }
    KV_TRY(parts.Add(text.substr(start)));
    text = StripRight(text.substr(0, start));
  }
  return parts.TakeReversed();
}

SplitResult SplitAt(Runtime& runtime, std::string_view text, std::string_view separator, int64_t limit) {
  Parts parts(runtime);
  for (size_t at = text.find(separator); limit != 0 && at != std::string_view::npos; at = text.find(separator)) {
    KV_TRY(parts.Add(text.substr(0, at)));
    text.remove_prefix(at + separator.size());
    --limit;
  }
  KV_TRY(parts.Add(text));
  return parts.Take();
}

SplitResult SplitAtFromRight(Runtime& runtime, std::string_view text, std::string_view separator, int64_t limit) {
  Parts parts(runtime);
  for (size_t at = text.rfind(separator); limit != 0 && at != std::string_view::npos; at = text.rfind(separator)) {
    KV_TRY(parts.Add(text.substr(at + separator.size())));
    text = text.substr(0, at);
    --limit;
  }
  KV_TRY(parts.Add(text));
  return parts.TakeReversed();
}

template <bool from_right>
Result<Value> Split(Call& call) {
  KV_ASSIGN(int64_t limit, call.Int(1, -1));
  limit = std::max<int64_t>(limit, -1);
  const std::string& text = call.self.text();
  std::vector<std::string_view> parts;
  if (!call.Has(0)) {
    KV_ASSIGN(parts,
              from_right ? SplitAtSpaceFromRight(call.runtime, text, limit) : SplitAtSpace(call.runtime, text, limit));
  } else {
    KV_ASSIGN(const std::string_view separator, call.Text(0));
    if (separator.empty()) return Raise("empty separator");
    KV_ASSIGN(parts, from_right ? SplitAtFromRight(call.runtime, text, separator, limit)
                                : SplitAt(call.runtime, text, separator, limit));
  }
  return TextList(call.runtime, parts, call.self.is_markup());
}

Result<Value> SplitLinesMethod(Call& call) {
  KV_ASSIGN(const int64_t keep_ends, call.Int(0, 0));
  KV_ASSIGN(const std::vector<std::string_view> lines, SplitLines(call.runtime, call.self.text(), keep_ends != 0));
  return TextList(call.runtime, lines, call.self.is_markup());
}

template <bool from_right>
Result<Value> Partition(Call& call) {
  KV_ASSIGN(const std::string_view separator, call.Text(0));
  if (separator.empty()) return Raise("empty separator");
  const std::string_view text = call.self.text();
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  const auto part = [&](std::string_view piece) {
    return call.runtime.String(std::string(piece), call.self.is_markup());
  };
  if (at == std::string_view::npos) {
    return from_right ? call.runtime.MakeTuple({part(""), part(""), part(text)})
                      : call.runtime.MakeTuple({part(text), part(""), part("")});
  }
  return call.runtime.MakeTuple({part(text.substr(0, at)), part(separator), part(text.substr(at + separator.size()))});
}

constexpr Builtin kSearchMethods[] = {
    {"find", "/sub /start? /end?", Find<false>},
    {"rfind", "/sub /start? /end?", Find<true>},
    {"index", "/sub /start? /end?", Index<false>},
    {"rindex", "/sub /start? /end?", Index<true>},
    {"count", "/sub /start? /end?", Count},
    {"startswith", "/prefix /start? /end?", StartsOrEnds<true>},
    {"endswith", "/suffix /start? /end?", StartsOrEnds<false>},
    {"split", "sep? maxsplit?", Split<false>},
    {"rsplit", "sep? maxsplit?", Split<true>},
    {"splitlines", "keepends?", SplitLinesMethod},
    {"partition", "/sep", Partition<false>},
    {"rpartition", "/sep", Partition<true>},
};

}  // namespace

std::span<const Builtin> StringSearches() {
  return kSearchMethods;
}

}  // namespace kvasir::jinja
