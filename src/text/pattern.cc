#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <string>

#include "base/check.h"

namespace kvasir::text {
namespace {

// Far above what any registered pattern needs on any text, low enough to end within seconds.
constexpr uint32_t kMatchLimit = 100'000'000;

pcre2_match_context* LimitedContext() {
  static pcre2_match_context* const context = [] {
    pcre2_match_context* made = pcre2_match_context_create(nullptr);
    if (made != nullptr) pcre2_set_match_limit(made, kMatchLimit);
    return made;
  }();
  return context;  // null means PCRE2's default limits
}

// Puts Unicode's White_Space property in the place of \s and \S; both spellings are allowed inside classes.
std::string WithUnicodeSpaces(std::string_view expression) {
  std::string out;
  for (size_t i = 0; i < expression.size(); ++i) {
    const bool escape = expression[i] == '\\' && i + 1 < expression.size();
    if (!escape) {
      out.push_back(expression[i]);
      continue;
    }
    const char escaped = expression[++i];
    if (escaped == 's') {
      out.append("\\p{White_Space}");
    } else if (escaped == 'S') {
      out.append("\\P{White_Space}");
    } else {
      out.append({'\\', escaped});
    }
  }
  return out;
}

pcre2_code* CodeOf(void* code) {
  return static_cast<pcre2_code*>(code);
}

}  // namespace

// One pair of offsets is enough: the patterns have no use for capture groups.
Pattern::Scratch::Scratch() : match_data_(pcre2_match_data_create(1, nullptr)) {}
Pattern::Scratch::~Scratch() {
  pcre2_match_data_free(static_cast<pcre2_match_data*>(match_data_));
}

void Pattern::Free::operator()(void* code) const {
  pcre2_code_free(CodeOf(code));
}

Result<Pattern> Pattern::Compile(std::string_view expression) {
  const std::string translated = WithUnicodeSpaces(expression);
  int error = 0;
  size_t offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE, &error, &offset, nullptr);
  if (code == nullptr) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    return Fail(ErrorCode::kInvalidArgument, fmt::format("pattern \"{}\" is malformed at offset {}: {}", translated,
                                                         offset, reinterpret_cast<const char*>(message.data())));
  }
  // Without JIT (some hardened kernels forbid it) the interpreter gives the same matches, slower.
  const bool jit = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  return Pattern(code, jit);
}

std::optional<Pattern::Span> Pattern::Match(std::string_view text, size_t from, Scratch& scratch) const {
  auto* match_data = static_cast<pcre2_match_data*>(scratch.match_data_);
  if (match_data == nullptr) return std::nullopt;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  constexpr uint32_t kOptions = PCRE2_NOTEMPTY;
  const int count =
      jit_ ? pcre2_jit_match(CodeOf(code_.get()), subject, text.size(), from, kOptions, match_data, LimitedContext())
           : pcre2_match(CodeOf(code_.get()), subject, text.size(), from, kOptions | PCRE2_NO_UTF_CHECK, match_data,
                         LimitedContext());
  if (count < 0) return std::nullopt;  // no match, or a limit
  const size_t* offsets = pcre2_get_ovector_pointer(match_data);
  return Span{offsets[0], offsets[1]};
}

}  // namespace kvasir::text
