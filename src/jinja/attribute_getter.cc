#include "jinja/attribute_getter.h"

#include <string_view>

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/numbers.h"
#include "jinja/string_predicates.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

bool IsIndex(std::string_view part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<AttributeGetter> AttributeGetter::Make(Runtime& runtime, const Value* attribute) {
  AttributeGetter getter;
  if (attribute == nullptr || attribute->is_none()) return getter;
  if (!attribute->is_string()) {
    getter.parts_.push_back(*attribute);
    return getter;
  }
  std::string_view path = attribute->text();
  for (bool more = true; more;) {
    KV_TRY(runtime.Step());
    const size_t dot = path.find('.');
    const std::string_view part = path.substr(0, dot);
    if (IsIndex(part)) {
      KV_ASSIGN(const std::optional<int64_t> index, ParseInt(part, 10));
      getter.parts_.push_back(Value::Int(*index));
    } else {
      getter.parts_.push_back(runtime.String(std::string(part)));
    }
    more = dot != std::string_view::npos;
    if (more) path.remove_prefix(dot + 1);
  }
  return getter;
}

Result<std::vector<AttributeGetter>> AttributeGetter::MakeSeveral(Runtime& runtime, const Value* attribute) {
  std::vector<AttributeGetter> getters;
  if (attribute == nullptr || !attribute->is_string()) {
    KV_ASSIGN(AttributeGetter getter, Make(runtime, attribute));
    getters.push_back(std::move(getter));
    return getters;
  }
  std::string_view list = attribute->text();
  for (bool more = true; more;) {
    const size_t comma = list.find(',');
    const Value part = runtime.String(std::string(list.substr(0, comma)));
    KV_ASSIGN(AttributeGetter getter, Make(runtime, &part));
    getters.push_back(std::move(getter));
    more = comma != std::string_view::npos;
    if (more) list.remove_prefix(comma + 1);
  }
  return getters;
}

Result<Value> AttributeGetter::Get(Runtime& runtime, const Value& value) const {
  Value result = value;
  for (const Value& part : parts_) {
    KV_TRY(runtime.Step());
    KV_ASSIGN(result, GetItem(runtime, result, part));
    if (fallback && result.is_undefined()) result = *fallback;
  }
  if (ignore_case && result.is_string()) return runtime.String(ToLower(result.text()), result.is_markup());
  return result;
}

}  // namespace kvasir::jinja
