#include "base/parse_json.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvasir::base {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr size_t kLongestReason = 240;

// Builds nothing: only where the text ends to be JSON is of interest.
class Listener : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Listener(std::string_view text) : text_(text) {}

  std::string problem;

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(size_t /*size*/) override { return true; }
  bool start_array(size_t /*size*/) override { return true; }
  bool end_object() override { return true; }
  bool end_array() override { return true; }
  bool key(string_t& /*name*/) override { return true; }
  bool parse_error(size_t position, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
    problem = ExplainBadJson(text_, position, error.what());
    return false;
  }

 private:
  std::string_view text_;
};

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing value - WHY": WHY.
std::string_view WithoutPlace(std::string_view reason) {
  for (const std::string_view mark : {"] ", ": ", " - "}) {
    const size_t at = reason.find(mark);
    const bool is_prefix = mark == "] "
                               ? reason.starts_with('[')
                               : reason.starts_with("parse error at") || reason.starts_with("syntax error while");
    if (at != std::string_view::npos && is_prefix) reason.remove_prefix(at + mark.size());
  }
  return reason;
}

// A reason may quote a token of any length.
std::string Shortened(std::string_view reason) {
  if (reason.size() <= kLongestReason) return std::string(reason);
  const auto goes_on = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; };
  size_t end = kLongestReason;
  while (end > 0 && goes_on(reason[end])) --end;
  return std::string(reason.substr(0, end)) + "...";
}

// Whether the last thing before `end` is a comma, which nlohmann's own words do not say.
bool FollowsComma(std::string_view text, size_t end) {
  const size_t last = text.substr(0, end).find_last_not_of(kBlank);
  return last != std::string_view::npos && text[last] == ',';
}

}  // namespace

std::string ExplainBadJson(std::string_view text, size_t position, std::string_view reason) {
  // At the end of the text the parser counts one byte that is not there.
  const size_t at = position == 0 ? 0 : std::min(position - 1, text.size());
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::ranges::count(before, '\n');
  const size_t column = at - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  std::string why = Shortened(WithoutPlace(reason));
  if (at == text.size()) {
    const bool blank = text.find_first_not_of(kBlank) == std::string_view::npos;
    why = blank ? "the text is empty" : fmt::format("the text ends too early: {}", why);
  } else if ((text[at] == '}' || text[at] == ']') && FollowsComma(text, at)) {
    why = fmt::format("a comma stands before '{}', but JSON allows none after the last {}", text[at],
                      text[at] == '}' ? "member" : "item");
  }
  return fmt::format("line {}, column {}: {}", line, column, why);
}

std::string WhyNoJson(std::string_view text) {
  Listener listener(text);
  (void)nlohmann::json::sax_parse(text.begin(), text.end(), &listener);
  return listener.problem;
}

}  // namespace kvasir::base
