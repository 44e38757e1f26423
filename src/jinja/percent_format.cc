// `"%-5s %03d" % (a, b)`

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/dict.h"
#include "jinja/html.h"
#include "jinja/numbers.h"
#include "jinja/operators.h"
#include "jinja/python_format.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

struct Conversion {
  bool left = false;
  bool zero = false;
  NumberStyle style;
  int64_t width = 0;
  bool has_key = false;
  std::string key;
};

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const Value& format, const Value& argument)
      : runtime_(runtime), format_(format), text_(format.text()), argument_(argument) {}

  Result<Value> Run() {
    while (position_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', position_), text_.size());
      out_ += text_.substr(position_, percent - position_);
      position_ = percent;
      if (position_ == text_.size()) break;
      ++position_;
      KV_TRY(FormatOne());
      KV_TRY(runtime_.Reserve(out_.size()));
    }
    const bool consumed = argument_.is_tuple() ? next_ >= argument_.items().size() : next_ > 0;
    if (!consumed && !AcceptsKeys()) return Raise("not all arguments converted during string formatting");
    return runtime_.String(std::move(out_), format_.is_markup());
  }

 private:
  /// Whether Python takes the argument for a mapping, which may have more than is used.
  bool AcceptsKeys() const { return argument_.is_dict() || argument_.is_list() || argument_.is_undefined(); }

  Result<char> Peek() const {
    if (position_ >= text_.size()) return Raise("incomplete format");
    return text_[position_];
  }

  Result<Value> NextArgument() {
    if (argument_.is_tuple()) {
      if (next_ >= argument_.items().size()) return Raise("not enough arguments for format string");
      return argument_.items()[next_++];
    }
    if (next_ > 0) return Raise("not enough arguments for format string");
    ++next_;
    return argument_;
  }

  Status ParseKey(Conversion& conversion) {
    if (position_ >= text_.size() || text_[position_] != '(') return {};
    if (!argument_.is_dict()) return Raise("format requires a mapping");
    const size_t start = ++position_;
    for (int nesting = 1; nesting > 0; ++position_) {
      if (position_ >= text_.size()) return Raise("incomplete format key");
      nesting += text_[position_] == '(' ? 1 : text_[position_] == ')' ? -1 : 0;
    }
    conversion.has_key = true;
    conversion.key = text_.substr(start, position_ - 1 - start);
    return {};
  }

  void ParseFlags(Conversion& conversion) {
    for (; position_ < text_.size(); ++position_) {
      switch (text_[position_]) {
        case '-': conversion.left = true; break;
        case '+': conversion.style.sign = '+'; break;
        case ' ': conversion.style.sign = conversion.style.sign == '+' ? '+' : ' '; break;
        case '#': conversion.style.alternate = true; break;
        case '0': conversion.zero = true; break;
        default: return;
      }
    }
  }

  /// A number, or * for the next argument; `otherwise` when there is neither.
  Result<int64_t> ParseCount(int64_t otherwise) {
    if (position_ < text_.size() && text_[position_] == '*') {
      ++position_;
      KV_ASSIGN(const Value value, NextArgument());
      if (!value.is_integral()) return Raise("* wants int");
      return value.integer();
    }
    if (position_ >= text_.size() || text_[position_] < '0' || text_[position_] > '9') return otherwise;
    int64_t count = 0;
    for (; position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9'; ++position_) {
      count = count * 10 + (text_[position_] - '0');
      if (count > INT32_MAX) return Raise("width too big");
    }
    return count;
  }

  Status FormatOne() {
    Conversion conversion;
    KV_TRY(ParseKey(conversion));
    ParseFlags(conversion);
    KV_ASSIGN(conversion.width, ParseCount(0));
    if (conversion.width < 0) {
      conversion.left = true;
      conversion.width = conversion.width == INT64_MIN ? INT64_MAX : -conversion.width;
    }
    if (position_ < text_.size() && text_[position_] == '.') {
      ++position_;
      KV_ASSIGN(const int64_t precision, ParseCount(0));
      conversion.style.precision = std::max<int64_t>(precision, 0);
    }
    if (position_ < text_.size() && std::string_view("hlL").find(text_[position_]) != std::string_view::npos)
      ++position_;
    KV_ASSIGN(conversion.style.type, Peek());
    ++position_;
    if (conversion.style.type == '%') {
      out_ += '%';
      return {};
    }
    return Convert(conversion);
  }

  Result<Value> ArgumentOf(const Conversion& conversion) {
    if (!conversion.has_key) return NextArgument();
    const Value* found = argument_.dict().FindText(conversion.key);
    if (found == nullptr) return Raise("the format has no value for the key '{}'", conversion.key);
    ++next_;
    return *found;
  }

  Status Convert(Conversion& conversion) {
    KV_ASSIGN(const Value value, ArgumentOf(conversion));
    switch (conversion.style.type) {
      case 's':
      case 'r':
      case 'a': return ConvertText(conversion, value);
      case 'c': return ConvertCharacter(conversion, value);
      case 'd':
      case 'i':
      case 'u': conversion.style.type = 'd'; return ConvertInteger(conversion, value);
      case 'o':
      case 'x':
      case 'X': return ConvertInteger(conversion, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': return ConvertReal(conversion, value);
      default:
        return Raise("unsupported format character '{}' (0x{:x}) at index {}", conversion.style.type,
                     static_cast<unsigned>(conversion.style.type), position_ - 1);
    }
  }

  Status ConvertText(const Conversion& conversion, const Value& value) {
    std::string shown;
    if (conversion.style.type == 's') {
      KV_TRY(AppendStr(runtime_, value, shown));
    } else if (conversion.style.type == 'a' && value.is_string()) {
      AppendQuoted(value.text(), shown, true);
    } else {
      KV_TRY(AppendRepr(runtime_, value, shown));
    }
    const bool is_safe = conversion.style.type == 's' && value.is_markup();
    if (format_.is_markup() && !is_safe) shown = EscapeHtml(shown);
    if (conversion.style.precision >= 0) {
      shown.resize(ByteOffset(shown, static_cast<size_t>(conversion.style.precision)));
    }
    return Pad(conversion, shown);
  }

  Status ConvertCharacter(const Conversion& conversion, const Value& value) {
    if (IsBigInteger(value)) return RaiseNotComputed(value, value);
    if (value.is_integral()) {
      if (value.integer() < 0 || value.integer() > 0x10FFFF) return Raise("%c arg not in range(0x110000)");
      std::string character;
      AppendUtf8(character, static_cast<char32_t>(value.integer()));
      return Pad(conversion, character);
    }
    if (value.is_string() && value.text_length() == 1) return Pad(conversion, value.text());
    return Raise("%c requires int or char");
  }

  Status ConvertInteger(const Conversion& conversion, const Value& value) {
    int64_t number = 0;
    if (value.is_undefined()) return RaiseUndefined(value);
    if (IsBigInteger(value)) return RaiseNotComputed(value, value);
    if (value.is_integral()) {
      number = value.integer();
    } else if (value.is_float() && conversion.style.type == 'd') {
      KV_ASSIGN(number, TruncateToInt(value.number()));
    } else {
      return Raise("%{} format: a real number is required, not {}", conversion.style.type, value.type_name());
    }
    if (conversion.style.precision > 0) KV_TRY(runtime_.Reserve(static_cast<size_t>(conversion.style.precision)));
    return PadNumber(conversion, FormatInteger(number, conversion.style));
  }

  Status ConvertReal(const Conversion& conversion, const Value& value) {
    if (value.is_undefined()) return RaiseUndefined(value);
    if (IsBigInteger(value)) return RaiseNotComputed(value, value);
    if (!value.is_number()) return Raise("must be real number, not {}", value.type_name());
    KV_ASSIGN(const NumberText text, FormatReal(runtime_, value.number(), conversion.style));
    return PadNumber(conversion, text);
  }

  Status Pad(const Conversion& conversion, const std::string& shown) {
    KV_TRY(runtime_.Reserve(static_cast<size_t>(conversion.width)));
    const size_t length = CodePointCount(shown);
    const size_t missing =
        static_cast<size_t>(conversion.width) > length ? static_cast<size_t>(conversion.width) - length : 0;
    if (!conversion.left) out_.append(missing, ' ');
    out_ += shown;
    if (conversion.left) out_.append(missing, ' ');
    return {};
  }

  Status PadNumber(const Conversion& conversion, const NumberText& text) {
    const std::string head = text.sign + text.prefix;
    const size_t length = head.size() + text.digits.size();
    if (conversion.left || !conversion.zero || static_cast<size_t>(conversion.width) <= length) {
      return Pad(conversion, head + text.digits);
    }
    KV_TRY(runtime_.Reserve(static_cast<size_t>(conversion.width)));
    out_ += head;
    out_.append(static_cast<size_t>(conversion.width) - length, '0');
    out_ += text.digits;
    return {};
  }

  Runtime& runtime_;
  const Value& format_;
  const std::string& text_;
  const Value& argument_;
  size_t position_ = 0;
  size_t next_ = 0;  ///< arguments used so far
  std::string out_;
};

}  // namespace

Result<Value> FormatPercent(Runtime& runtime, const Value& format, const Value& argument) {
  return PercentFormatter(runtime, format, argument).Run();
}

}  // namespace kvasir::jinja
