// Filters that lay text out in lines.

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/text_operations.h"
#include "jinja/word_wrap.h"

namespace kvasir::jinja {

namespace {

Result<Value> Indent(Call& call) {
  if (call.self.is_undefined()) return RaiseUndefined(call.self);
  if (!call.self.is_string()) return Raise("can only indent str, not {}", call.self.type_name());
  std::string indention(4, ' ');
  if (call[0] != nullptr && call[0]->is_string()) {
    indention = call[0]->text();
  } else {
    KV_ASSIGN(const int64_t width, call.Int(0, 4));
    KV_TRY(call.runtime.Reserve(width > 0 ? static_cast<size_t>(width) : 0));
    indention.assign(width > 0 ? static_cast<size_t>(width) : 0, ' ');
  }
  KV_ASSIGN(const bool first, call.Flag(1, false));
  KV_ASSIGN(const bool blank, call.Flag(2, false));
  const std::string text = call.self.text() + "\n";
  KV_ASSIGN(const std::vector<std::string_view> lines, SplitLines(call.runtime, text, false));
  KV_TRY(call.runtime.Reserve(lines.size(), indention.size() + 1));
  std::string out = first ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (blank || !lines[i].empty())) out += indention;
    out += lines[i];
  }
  return call.runtime.String(std::move(out), call.self.is_markup());
}

Result<Value> WordWrap(Call& call) {
  if (!call.self.is_string()) return Raise("can only wrap str, not {}", call.self.type_name());
  WrapStyle style;
  KV_ASSIGN(style.width, call.Int(0, 79));
  KV_ASSIGN(style.break_long_words, call.Flag(1, true));
  std::string_view separator = "\n";
  if (call.Has(2)) {
    KV_ASSIGN(separator, call.Text(2));
  }
  KV_ASSIGN(style.break_on_hyphens, call.Flag(3, true));
  std::string out;
  bool is_first = true;
  KV_ASSIGN(const std::vector<std::string_view> lines, SplitLines(call.runtime, call.self.text(), false));
  for (const std::string_view line : lines) {
    KV_ASSIGN(const std::vector<std::string> wrapped, WrapLine(call.runtime, line, style));
    if (!is_first) out += separator;
    is_first = false;
    for (size_t i = 0; i < wrapped.size(); ++i) {
      if (i > 0) out += separator;
      out += wrapped[i];
      KV_TRY(call.runtime.Reserve(out.size()));
    }
  }
  return call.runtime.String(std::move(out));
}

Result<Value> NotSupported(Call& call) {
  return Fail(ErrorCode::kUnsupported, fmt::format("the filter '{}' is not supported", call.name));
}

constexpr Builtin kLayoutFilters[] = {
    {"indent", "width? first? blank?", Indent},
    {"wordwrap", "width? break_long_words? wrapstring? break_on_hyphens?", WordWrap},
    {"pprint", "*", NotSupported},
    {"random", "*", NotSupported},
    {"urlize", "*", NotSupported},
};

}  // namespace

std::span<const Builtin> LayoutFilters() {
  return kLayoutFilters;
}

}  // namespace kvasir::jinja
