// The parser is a recursive descent over the characters of the pattern; its depth is bounded, as patterns come from the
// network. Anchors are the difficulty: `^` and `$` match places, not characters. So the text is thought of with a mark
// at its begin and at its end, which the anchors read like characters:
//
//   whole text:  begin? R end?            any part:  (begin any*)? R (any* end)?
//
// over texts "begin w end". In the finished automaton the mark at the begin can only be the first symbol and the one at
// the end the last, so both are cut off: the start moves over its begin edge, and what has an end edge accepts. An
// anchor in the middle, as in a^b, matches nothing, as it should.
#include "grammar/regex.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/ascii.h"
#include "base/check.h"
#include "grammar/characters.h"
#include "grammar/text_cursor.h"
#include "text/utf8.h"

namespace kvasir::grammar {
namespace {

constexpr size_t kLongestPattern = 64 << 10;

const CharacterSet& Digits() {
  static const CharacterSet set({{'0', '9'}});
  return set;
}
const CharacterSet& WordCharacters() {
  static const CharacterSet set({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  return set;
}
const CharacterSet& Spaces() {
  static const CharacterSet set({{0x09, 0x0D},
                                 {' ', ' '},
                                 {0xA0, 0xA0},
                                 {0x1680, 0x1680},
                                 {0x2000, 0x200A},
                                 {0x2028, 0x2029},
                                 {0x202F, 0x202F},
                                 {0x205F, 0x205F},
                                 {0x3000, 0x3000},
                                 {0xFEFF, 0xFEFF}});
  return set;
}
const CharacterSet& LineEnds() {
  static const CharacterSet set({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
  return set;
}

class RegexParser : TextCursor {
 public:
  explicit RegexParser(std::string_view text) : TextCursor(text) {}

  Result<Expr> Run() {
    if (text_.size() > kLongestPattern) {
      return Fail(ErrorCode::kResourceExhausted, fmt::format("the regular expression has {} bytes; at most {} are read",
                                                             text_.size(), kLongestPattern));
    }
    if (const size_t valid = text::ValidUtf8Prefix(text_); valid != text_.size()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("the regular expression is not UTF-8 at byte {}", valid));
    }
    KV_ASSIGN(Expr all, Alternatives());
    if (!AtEnd()) return Wrong("there is a ) without its (");
    return all;
  }

 private:
  char32_t TakeCharacter() {
    const text::Utf8Char c = text::DecodeUtf8(text_, at_);
    at_ += static_cast<size_t>(c.length);
    return c.code_point;
  }
  [[nodiscard]] std::unexpected<Error> Wrong(std::string_view what,
                                             ErrorCode code = ErrorCode::kInvalidArgument) const {
    return Fail(code,
                fmt::format("the regular expression '{}' is wrong at byte {}: {}", text_.substr(0, 200), at_, what));
  }
  [[nodiscard]] std::unexpected<Error> NotSupported(std::string_view what) const {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the regular expression '{}' has {} at byte {}, which no finite automaton can match; write "
                            "it without",
                            text_.substr(0, 200), what, at_));
  }

  Result<Expr> Alternatives() {
    if (++depth_ > kDeepestGroup) return Wrong(fmt::format("groups nest deeper than {}", kDeepestGroup));
    std::vector<Expr> parts;
    do {
      std::vector<Expr> sequence;
      while (!AtEnd() && Peek() != '|' && Peek() != ')') {
        KV_ASSIGN(Expr part, Quantified());
        sequence.push_back(std::move(part));
      }
      parts.push_back(InOrderOf(std::move(sequence)));
    } while (Take("|"));
    --depth_;
    return AnyOfThese(std::move(parts));
  }

  Result<Expr> Quantified() {
    KV_ASSIGN(Expr part, Atom());
    int min = 1;
    int max = 1;
    if (Take("*")) {
      min = 0, max = -1;
    } else if (Take("+")) {
      max = -1;
    } else if (Take("?")) {
      min = 0;
    } else if (Peek() == '{') {
      KV_TRY(Bounds(min, max));
    } else {
      return part;
    }
    (void)Take("?");  // a lazy repeat matches the same texts
    if (Peek() == '+') return NotSupported("a possessive repeat");
    if (Peek() == '*' || Peek() == '?' || Peek() == '{') return Wrong("there is nothing to repeat");
    return Times(std::move(part), min, max);
  }

  Status Bounds(int& min, int& max) {
    ++at_;
    KV_ASSIGN(min, Number());
    max = min;
    if (Take(",")) {
      max = -1;
      if (Peek() != '}') {
        KV_ASSIGN(max, Number());
      }
    }
    if (!Take("}")) return Wrong("a } is missing; write \\{ for the character {");
    if (max >= 0 && max < min) return Wrong(fmt::format("the repeat {{{},{}}} ends before it begins", min, max));
    return {};
  }

  Result<int> Number() {
    if (!AtDigit()) return Wrong("a number is missing after {; write \\{ for the character {");
    const int value = TakeNumber(kMostTimes);
    if (value > kMostTimes) return Wrong(fmt::format("a repeat has more than {} times", kMostTimes));
    return value;
  }

  Result<Expr> Atom() {
    switch (Peek()) {
      case '(': return Group();
      case '[': {
        KV_ASSIGN(const CharacterSet set, Class());
        return set.ToExpr();
      }
      case '.': ++at_; return LineEnds().Negated().ToExpr();
      case '^': ++at_; return Bytes({{kTextBegin, kTextBegin}});
      case '$': ++at_; return Bytes({{kTextEnd, kTextEnd}});
      case '*':
      case '+':
      case '?':
      case '{': return Wrong("there is nothing to repeat");
      case '\\': {
        KV_ASSIGN(const CharacterSet set, Escape(/*in_class=*/false));
        return set.ToExpr();
      }
      default: break;
    }
    const char32_t c = TakeCharacter();
    return CharacterSet({{c, c}}).ToExpr();
  }

  Result<Expr> Group() {
    ++at_;
    if (Peek() == '?') {
      for (const char* look : {"?=", "?!", "?<=", "?<!"}) {
        if (text_.substr(at_).starts_with(look)) return NotSupported("look-around");
      }
      if (Take("?<") || Take("?P<")) {
        const size_t end = text_.find('>', at_);
        if (end == std::string_view::npos) return Wrong("the name of a group has no end");
        at_ = end + 1;
      } else if (!Take("?:")) {
        return Wrong("only (?:...) and named groups are known; flags are not");
      }
    }
    KV_ASSIGN(Expr inside, Alternatives());
    if (!Take(")")) return Wrong("a ) is missing");
    return inside;
  }

  // What a backslash stands for: one character or a class of them.
  Result<CharacterSet> Escape(bool in_class) {
    ++at_;
    if (AtEnd()) return Wrong("it ends with a backslash");
    const char32_t c = TakeCharacter();
    const auto one = [](char32_t code) { return CharacterSet({{code, code}}); };
    switch (c) {
      case 'd': return Digits();
      case 'D': return Digits().Negated();
      case 'w': return WordCharacters();
      case 'W': return WordCharacters().Negated();
      case 's': return Spaces();
      case 'S': return Spaces().Negated();
      case 'n': return one('\n');
      case 'r': return one('\r');
      case 't': return one('\t');
      case 'f': return one('\f');
      case 'v': return one('\v');
      case 'b':
        if (in_class) return one('\b');
        return NotSupported("a word boundary");
      case 'B':
      case 'A':
      case 'Z':
      case 'z':
      case 'k':
      case 'G': return NotSupported(fmt::format("\\{}", static_cast<char>(c)));
      case 'x': return Hex(2);
      case 'u': return Hex(4);
      case 'p':
      case 'P': return Category(c == 'P');
      default: break;
    }
    if (c == '0' && !AtDigit()) return one(0);
    if (c >= '0' && c <= '9') return NotSupported("a back reference");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      return Wrong(fmt::format("the escape \\{} has no meaning", static_cast<char>(c)));
    }
    return one(c);
  }

  Result<CharacterSet> Hex(size_t digits) {
    const bool braces = digits == 4 && Take("{");
    char32_t value = 0;
    size_t count = 0;
    while (count < (braces ? 6U : digits)) {
      const int digit = base::DigitValue(Peek());
      if (digit >= 16) break;
      value = value * 16 + static_cast<char32_t>(digit);
      ++count, ++at_;
    }
    if (count == 0 || (!braces && count != digits) || (braces && !Take("}")) || value > 0x10FFFF ||
        (value >= 0xD800 && value <= 0xDFFF)) {
      return Wrong("an escape \\x needs two hexadecimal digits and \\u four, or up to six in braces, of a character");
    }
    return CharacterSet({{value, value}});
  }

  Result<CharacterSet> Category(bool negated) {
    const size_t end = text_.find('}', at_);
    if (!Take("{") || end == std::string_view::npos) return Wrong("\\p needs a name in braces, such as \\p{L}");
    const std::string_view name = text_.substr(at_, end - at_);
    KV_ASSIGN(const CharacterSet set, CharactersOfCategory(name));
    at_ = end + 1;
    return negated ? set.Negated() : set;
  }

  Result<CharacterSet> Class() {
    ++at_;
    const bool negated = Take("^");
    CharacterSet set;
    std::vector<CharacterRange> ranges;
    while (!Take("]")) {
      if (AtEnd()) return Wrong("a ] is missing");
      if (text_.substr(at_).starts_with("[:")) return Wrong("names such as [:alpha:] are not known; write \\p{L}");
      KV_ASSIGN(const CharacterSet low, ClassItem());
      const bool is_range = Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
      if (!is_range) {
        ranges.insert(ranges.end(), low.ranges().begin(), low.ranges().end());
        continue;
      }
      ++at_;
      KV_ASSIGN(const CharacterSet high, ClassItem());
      const std::optional<char32_t> from = OnlyOne(low);
      const std::optional<char32_t> to = OnlyOne(high);
      if (!from || !to || *from > *to) return Wrong("a range in [] must go from one character up to another");
      ranges.push_back({*from, *to});
    }
    set = CharacterSet(std::move(ranges));
    return negated ? set.Negated() : set;
  }

  Result<CharacterSet> ClassItem() {
    if (Peek() == '\\') return Escape(/*in_class=*/true);
    const char32_t c = TakeCharacter();
    return CharacterSet({{c, c}});
  }

  static std::optional<char32_t> OnlyOne(const CharacterSet& set) {
    if (set.ranges().size() != 1 || set.ranges()[0].low != set.ranges()[0].high) return std::nullopt;
    return set.ranges()[0].low;
  }

  int depth_ = 0;
};

Dfa WithoutMarks(const Dfa& marked) {
  Dfa out;
  if (marked.states.empty()) return out;
  const int64_t start = marked.Next(0, kTextBegin);
  if (start < 0) return out;
  // The new start is a copy in front, so that nothing changes for those who come back to the original.
  out.states.push_back(marked.states[static_cast<size_t>(start)]);
  out.states.insert(out.states.end(), marked.states.begin(), marked.states.end());
  for (Dfa::State& state : out.states) {
    bool accept = false;
    for (Dfa::Edge& edge : state.edges) {
      if (edge.low <= kTextEnd && kTextEnd <= edge.high) accept = marked.states[edge.target].accept;
      ++edge.target;
    }
    std::erase_if(state.edges, [](const Dfa::Edge& edge) { return edge.low >= kTextBegin; });
    for (Dfa::Edge& edge : state.edges) edge.high = std::min(edge.high, kTextBegin - 1);
    state.accept = accept;
  }
  return Minimized(Trimmed(out));
}

}  // namespace

Result<Dfa> RegexDfa(std::string_view pattern, RegexMatch match) {
  KV_ASSIGN(Expr expr, RegexParser(pattern).Run());
  const Expr begin = Bytes({{kTextBegin, kTextBegin}});
  const Expr end = Bytes({{kTextEnd, kTextEnd}});
  const bool search = match == RegexMatch::kSearch;
  const Expr before = search ? InOrderOf({begin, AnyText()}) : begin;
  const Expr after = search ? InOrderOf({AnyText(), end}) : end;
  KV_ASSIGN(const Nfa nfa, BuildNfa(InOrderOf({Maybe(before), std::move(expr), Maybe(after)})));
  KV_ASSIGN(const Dfa marked, Determinize(nfa));
  return WithoutMarks(marked);
}

}  // namespace kvasir::grammar
