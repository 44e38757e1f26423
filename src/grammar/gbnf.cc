// A recursive descent with bounded depth. A rule ends at the end of its line, except inside a group, after `::=` and
// around `|`, where the text may go on in the next one.
#include "grammar/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "grammar/characters.h"
#include "grammar/text_cursor.h"
#include "text/utf8.h"

namespace kvasir::grammar {
namespace {

constexpr int kMostStacked = 4;  // repeats of one part: a*+?
constexpr size_t kLongestGrammar = 1 << 20;

bool IsNameCharacter(char c) {
  return base::IsAlphanumeric(c) || c == '-' || c == '_';
}

class GbnfParser : TextCursor {
 public:
  explicit GbnfParser(std::string_view text) : TextCursor(text), rules_(std::make_shared<Rules>()) {}

  Result<Expr> Run() {
    if (text_.size() > kLongestGrammar) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("the grammar has {} bytes; at most {} are read", text_.size(), kLongestGrammar));
    }
    if (const size_t valid = text::ValidUtf8Prefix(text_); valid != text_.size()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("the grammar is not UTF-8 at byte {}", valid));
    }
    Skip(/*lines=*/true);
    while (!AtEnd()) {
      KV_TRY(Rule());
      Skip(/*lines=*/true);
    }
    for (size_t i = 0; i < rules_->bodies.size(); ++i) {
      if (rules_->bodies[i]) continue;
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the grammar uses the rule {}, but does not define it", rules_->names[i]));
    }
    const auto root = numbers_.find("root");
    if (root == numbers_.end()) {
      return Fail(ErrorCode::kInvalidArgument, "the grammar has no rule root, with which every text begins");
    }
    return Make({Scope{rules_, Make({RuleCall{rules_.get(), root->second}})}});
  }

 private:
  [[nodiscard]] std::unexpected<Error> Wrong(std::string_view what,
                                             ErrorCode code = ErrorCode::kInvalidArgument) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = 1 + std::ranges::count(before, '\n');
    const size_t begin = before.rfind('\n');
    const size_t column = 1 + (begin == std::string_view::npos ? at_ : at_ - begin - 1);
    return Fail(code, fmt::format("the grammar is wrong in line {}, column {}: {}", line, column, what));
  }

  // Blanks and comments, and with `lines` the ends of lines.
  void Skip(bool lines) {
    while (!AtEnd()) {
      const char c = Peek();
      if (c == '#') {
        while (!AtEnd() && Peek() != '\n' && Peek() != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  Result<std::string> Name() {
    const size_t begin = at_;
    while (!AtEnd() && IsNameCharacter(Peek())) ++at_;
    if (at_ == begin) return Wrong("the name of a rule is missing");
    return std::string(text_.substr(begin, at_ - begin));
  }

  uint32_t NumberOf(const std::string& name) {
    const auto [at, is_new] = numbers_.try_emplace(name, static_cast<uint32_t>(rules_->names.size()));
    if (is_new) {
      rules_->names.push_back(name);
      rules_->bodies.emplace_back();
    }
    return at->second;
  }

  Status Rule() {
    KV_ASSIGN(const std::string name, Name());
    Skip(false);
    if (!Take("::=")) return Wrong(fmt::format("::= is missing after the rule's name {}", name));
    const uint32_t number = NumberOf(name);
    if (rules_->bodies[number]) return Wrong(fmt::format("the rule {} is defined a second time", name));
    Skip(true);
    KV_ASSIGN(Expr body, Alternatives(/*nested=*/false));
    rules_->bodies[number] = std::move(body);
    if (!AtEnd() && Peek() != '\n' && Peek() != '\r') return Wrong("the end of the line or | is missing");
    return {};
  }

  Result<Expr> Alternatives(bool nested) {
    if (++depth_ > kDeepestGroup) return Wrong(fmt::format("groups nest deeper than {}", kDeepestGroup));
    std::vector<Expr> parts;
    while (true) {
      KV_ASSIGN(Expr sequence, InOneLine(nested));
      parts.push_back(std::move(sequence));
      if (!NextAlternative(nested)) break;
      Skip(true);
    }
    --depth_;
    return AnyOfThese(std::move(parts));
  }

  // Takes a | here or at the begin of the next line.
  bool NextAlternative(bool nested) {
    const size_t here = at_;
    Skip(true);
    if (Take("|")) return true;
    if (!nested) at_ = here;
    return false;
  }

  Result<Expr> InOneLine(bool nested) {
    std::vector<Expr> parts;
    while (true) {
      Skip(nested);
      const char c = Peek();
      if (AtEnd() || c == '|' || c == ')' || c == '\n' || c == '\r') break;
      // In a group a line may begin with a name, too; there it can only be a reference.
      KV_ASSIGN(Expr part, Item());
      KV_ASSIGN(part, Quantified(std::move(part)));
      parts.push_back(std::move(part));
    }
    return InOrderOf(std::move(parts));
  }

  Result<Expr> Item() {
    const char c = Peek();
    if (c == '"') return Literal();
    if (c == '[') return Class();
    if (c == '<') return Token();
    if (c == '.') {
      ++at_;
      return AnyCharacter();
    }
    if (c == '(') {
      ++at_;
      Skip(true);
      KV_ASSIGN(Expr inside, Alternatives(/*nested=*/true));
      if (!Take(")")) return Wrong("a ) is missing");
      return inside;
    }
    if (c == '!') return Wrong("a negated token is not supported; list what is allowed", ErrorCode::kUnsupported);
    if (!IsNameCharacter(c)) return Wrong("there should be a literal, a class, a group or the name of a rule");
    KV_ASSIGN(const std::string name, Name());
    return Make({RuleCall{rules_.get(), NumberOf(name)}});
  }

  Result<Expr> Quantified(Expr part) {
    for (int repeats = 0; repeats <= kMostStacked; ++repeats) {
      Skip(false);
      if (Take("*")) {
        part = Times(std::move(part), 0, -1);
      } else if (Take("+")) {
        part = Times(std::move(part), 1, -1);
      } else if (Take("?")) {
        part = Maybe(std::move(part));
      } else if (Take("{")) {
        KV_ASSIGN(const int min, Number());
        int max = min;
        if (Take(",")) {
          max = -1;
          Skip(false);
          if (Peek() != '}') {
            KV_ASSIGN(max, Number());
          }
        }
        if (!Take("}")) return Wrong("a } is missing");
        if (max >= 0 && max < min) return Wrong(fmt::format("the repeat {{{},{}}} ends before it begins", min, max));
        part = Times(std::move(part), min, max);
      } else {
        return part;
      }
    }
    return Wrong(fmt::format("one part has more than {} repeats", kMostStacked));
  }

  Result<int> Number() {
    Skip(false);
    if (!AtDigit()) return Wrong("a number is missing after {");
    const int value = TakeNumber(kMostTimes);
    if (value > kMostTimes) return Wrong(fmt::format("a repeat has more than {} times", kMostTimes));
    Skip(false);
    return value;
  }

  Result<char32_t> Character() {
    if (AtEnd() || Peek() == '\n') return Wrong("the line ends inside a literal or a class");
    if (Peek() != '\\') {
      const text::Utf8Char c = text::DecodeUtf8(text_, at_);
      at_ += static_cast<size_t>(c.length);
      return c.code_point;
    }
    ++at_;
    const char c = Peek();
    ++at_;
    switch (c) {
      case 'n': return U'\n';
      case 'r': return U'\r';
      case 't': return U'\t';
      case 'x': return Hex(2);
      case 'u': return Hex(4);
      case 'U': return Hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^': return static_cast<char32_t>(c);
      default: break;
    }
    at_ = std::min(at_, text_.size());
    return Wrong("the escape is none of \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xHH \\uHHHH \\UHHHHHHHH");
  }

  Result<char32_t> Hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = base::DigitValue(Peek());
      if (digit >= 16 || value > 0x10FFFF) return Wrong(fmt::format("the escape needs {} hexadecimal digits", digits));
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return Wrong("the escape is no character");
    return value;
  }

  Result<Expr> Literal() {
    ++at_;
    std::string bytes;
    while (!Take("\"")) {
      KV_ASSIGN(const char32_t c, Character());
      text::AppendUtf8(c, bytes);
    }
    return Exactly(bytes);
  }

  Result<Expr> Class() {
    ++at_;
    const bool negated = Take("^");
    std::vector<CharacterRange> ranges;
    while (!Take("]")) {
      KV_ASSIGN(const char32_t low, Character());
      char32_t high = low;
      if (Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        KV_ASSIGN(high, Character());
        if (high < low) return Wrong("a range in [] must go from one character up to another");
      }
      ranges.push_back({low, high});
    }
    const CharacterSet set(std::move(ranges));
    return negated ? set.Negated().ToExpr() : set.ToExpr();
  }

  Result<Expr> Token() {
    const size_t end = text_.find('>', at_);
    if (end == std::string_view::npos || text_.substr(at_, end - at_).contains('\n')) {
      return Wrong("the special token begun with < has no >");
    }
    const std::string spelling(text_.substr(at_, end + 1 - at_));
    if (spelling.starts_with("<[")) {
      return Wrong("tokens by number are not supported; write the token's name in <>", ErrorCode::kUnsupported);
    }
    at_ = end + 1;
    return Make({SpecialToken{spelling}});
  }

  int depth_ = 0;
  std::shared_ptr<Rules> rules_;
  std::map<std::string, uint32_t> numbers_;
};

}  // namespace

Result<Expr> ParseGbnf(std::string_view text) {
  return GbnfParser(text).Run();
}

}  // namespace kvasir::grammar
