// The text is read twice: a first pass only counts (depth, values, names seen per object) and builds nothing, so that a
// hostile body is refused before memory is spent on it; the second builds the value. nlohmann's parser keeps its
// nesting on the heap, so depth cannot exhaust the stack in either pass.
#include "server/json.h"

#include <fmt/format.h>

#include <unordered_set>
#include <vector>

#include "base/check.h"
#include "base/parse_json.h"

namespace kvasir::server {
namespace {

class Checker : public nlohmann::json_sax<Json> {
 public:
  Checker(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  [[nodiscard]] const std::string& problem() const { return problem_; }

  bool null() override { return Count(); }
  bool boolean(bool /*value*/) override { return Count(); }
  bool number_integer(number_integer_t /*value*/) override { return Count(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return Count(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return Count(); }
  bool string(string_t& /*value*/) override { return Count(); }
  bool binary(binary_t& /*value*/) override { return Count(); }
  bool start_object(size_t /*size*/) override { return Open(); }
  bool start_array(size_t /*size*/) override { return Open(); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (!names_.back().insert(name).second) {
      problem_ = fmt::format("the member '{}' appears twice in one object", name.substr(0, kShownName));
      return false;
    }
    if (names_.back().size() > limits_.max_members) {
      problem_ = fmt::format("one of its objects has more than {} members", limits_.max_members);
      return false;
    }
    return Count();
  }

  bool parse_error(size_t position, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
    problem_ = base::ExplainBadJson(text_, position, error.what());
    return false;
  }

 private:
  static constexpr size_t kShownName = 100;

  bool Count() {
    if (++values_ <= limits_.max_values) return true;
    problem_ = fmt::format("it holds more than {} values", limits_.max_values);
    return false;
  }

  bool Open() {
    names_.emplace_back();
    if (static_cast<int>(names_.size()) <= limits_.max_depth) return Count();
    problem_ = fmt::format("it is nested deeper than {} levels", limits_.max_depth);
    return false;
  }

  bool Close() {
    names_.pop_back();
    return true;
  }

  std::string_view text_;
  JsonLimits limits_;
  size_t values_ = 0;
  std::vector<std::unordered_set<std::string>> names_;  // of each object that is open
  std::string problem_;
};

}  // namespace

Result<Json> ParseJson(std::string_view text, const JsonLimits& limits) {
  Checker checker(text, limits);
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return Fail(ErrorCode::kInvalidArgument, "this is not acceptable JSON: " + checker.problem());
  }
  Json value = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  KV_CHECK(!value.is_discarded());
  return value;
}

std::string DumpJson(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace kvasir::server
