#include "jinja/request_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/parse_json.h"
#include "jinja/value.h"

namespace kvasir::jinja {
namespace {

using Json = nlohmann::ordered_json;

// Builds the value event by event. `open_` leads from the root to the container that is being filled; nothing is added
// to a container while one within it is open, so the pointers stay valid.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  Json root;
  Error problem;

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool string(string_t& value) override { return Add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }  // no JSON text has any
  bool start_object(size_t /*size*/) override { return Open(Json::object()); }
  bool start_array(size_t /*size*/) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_not_of("-0123456789") != std::string::npos) return Add(value);
    return Add(Json::binary(Json::binary_t::container_type(text.begin(), text.end()), kBigIntegerSubtype));
  }

  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
    problem = {ErrorCode::kInvalidArgument, base::ExplainBadJson(text_, position, error.what())};
    return false;
  }

 private:
  Json& Place(Json value) {
    if (open_.empty()) return root = std::move(value);
    Json& parent = *open_.back();
    if (parent.is_object()) return parent[key_] = std::move(value);
    parent.push_back(std::move(value));
    return parent.back();
  }

  bool Add(Json value) {
    Place(std::move(value));
    return true;
  }

  bool Open(Json container) {
    open_.push_back(&Place(std::move(container)));
    if (open_.size() <= kMaxValueDepth) return true;
    problem = {ErrorCode::kResourceExhausted, fmt::format("it is nested deeper than {} levels", kMaxValueDepth)};
    return false;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  std::vector<Json*> open_;
  std::string key_;
};

}  // namespace

Result<Json> ParseRequestText(std::string_view text) {
  Builder builder(text);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return std::unexpected(std::move(builder.problem));
  return std::move(builder.root);
}

}  // namespace kvasir::jinja
