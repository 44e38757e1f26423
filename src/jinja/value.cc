#include "jinja/value.h"

#include <algorithm>

#include "jinja/dict.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

uint32_t DepthAbove(const std::vector<Value>& items) {
  uint32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

}  // namespace

Value Value::Bool(bool value) {
  Value result(Kind::kBool);
  result.integer_ = value ? 1 : 0;
  return result;
}

Value Value::Int(int64_t value) {
  Value result(Kind::kInt);
  result.integer_ = value;
  return result;
}

Value Value::Float(double value) {
  Value result(Kind::kFloat);
  result.float_ = value;
  return result;
}

Value Value::Of(std::shared_ptr<Text> text) {
  return Value(Kind::kString, std::move(text));
}

Value Value::Of(std::shared_ptr<List> list) {
  const Kind kind = list->tuple ? Kind::kTuple : Kind::kList;
  return Value(kind, std::move(list));
}

Value Value::Of(std::shared_ptr<Dict> dict) {
  return Value(Kind::kDict, std::move(dict));
}

Value Value::Undefined(std::string message) {
  return Value(Kind::kUndefined, std::make_shared<UndefinedReason>(std::move(message)));
}

bool Value::is_markup() const {
  return is_string() && static_cast<const Text&>(*object_).markup;
}
double Value::number() const {
  return is_float() ? float_ : static_cast<double>(integer_);
}
const std::string& Value::text() const {
  return static_cast<const Text&>(*object_).text;
}
size_t Value::text_length() const {
  return static_cast<const Text&>(*object_).length;
}
const std::vector<Value>& Value::items() const {
  return static_cast<const List&>(*object_).items;
}
const Dict& Value::dict() const {
  return static_cast<const Dict&>(*object_);
}
uint32_t Value::depth() const {
  return object_ ? object_->depth() : 0;
}

std::string_view Value::undefined_message() const {
  return static_cast<const UndefinedReason&>(*object_).message;
}

std::string_view Value::type_name() const {
  switch (kind_) {
    case Kind::kMissing:
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "NoneType";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    default: return object_->type_name();
  }
}

Result<std::optional<size_t>> Object::Length(Runtime&) {
  return std::nullopt;
}
Result<std::optional<Value>> Object::Attribute(Runtime&, std::string_view) {
  return std::nullopt;
}
Result<std::optional<Value>> Object::Item(Runtime&, const Value&) {
  return std::nullopt;
}
Result<IteratorPtr> Object::Iterate(Runtime&) {
  return IteratorPtr();
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): what overrides it takes the arguments apart.
Result<Value> Object::Call(Runtime&, Arguments) {
  return Raise("'{}' object is not callable", type_name());
}

Status Object::Repr(Runtime&, std::string& out) {
  out.append("<").append(qualified_type_name()).append(" object>");
  return {};
}

Text::Text(std::string text_value, bool is_markup, Meter* meter)
    : text(std::move(text_value)),
      length(CodePointCount(text)),
      markup(is_markup),
      held_(meter, sizeof(Text) + text.size()) {}

List::List(std::vector<Value> values, bool is_tuple, Meter* meter)
    : Object(DepthAbove(values)),
      items(std::move(values)),
      tuple(is_tuple),
      held_(meter, sizeof(List) + items.size() * sizeof(Value)) {}

Result<std::optional<size_t>> Iterator::Length(Runtime&) {
  return std::nullopt;
}

}  // namespace kvasir::jinja
