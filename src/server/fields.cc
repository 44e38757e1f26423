#include "server/fields.h"

#include <fmt/format.h>

#include <cmath>

namespace kvasir::server {

std::string Shown(const Json& value) {
  constexpr size_t kLongest = 60;
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = DumpJson(value);
  if (text.size() > kLongest) {
    size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not inside a character
    text = text.substr(0, end) + "...";
  }
  return text;
}

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (object_.is_object()) return;
  if (path_.empty()) {
    problem_ = Refuse(400, fmt::format("the request is {}, but it must be a JSON object", Shown(object_))).error();
  } else {
    problem_ = BadField(path_, fmt::format("is {}, but it must be an object", Shown(object_))).error();
  }
}

std::string Fields::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void Fields::Problem(std::string_view name, std::string_view message) {
  Problem(BadField(PathOf(name), message).error());
}

void Fields::Problem(ApiError error) {
  if (!problem_) problem_ = std::move(error);
}

const Json* Fields::Find(std::string_view name) {
  if (!object_.is_object()) return nullptr;
  asked_.emplace(name);
  const auto found = object_.find(std::string(name));
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json* Fields::FindOf(std::string_view name, bool (*is_type)(const Json&), const char* type) {
  const Json* value = Find(name);
  if (value == nullptr || is_type(*value)) return value;
  Problem(name, fmt::format("is {}, but it must be {}", Shown(*value), type));
  return nullptr;
}

const Json* Fields::Object(std::string_view name) {
  return FindOf(name, [](const Json& value) { return value.is_object(); }, "an object");
}

const Json* Fields::Array(std::string_view name) {
  return FindOf(name, [](const Json& value) { return value.is_array(); }, "a list");
}

std::optional<bool> Fields::Bool(std::string_view name) {
  const Json* value = FindOf(name, [](const Json& v) { return v.is_boolean(); }, "true or false");
  return value == nullptr ? std::nullopt : std::optional(value->get<bool>());
}

std::optional<int64_t> Fields::Integer(std::string_view name, int64_t low, int64_t high) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const bool too_large = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (value->is_number_integer() && !too_large) {
    const auto number = value->get<int64_t>();
    if (number >= low && number <= high) return number;
  }
  Problem(name, fmt::format("is {}, but it must be a whole number from {} to {}", Shown(*value), low, high));
  return std::nullopt;
}

std::optional<double> Fields::Number(std::string_view name, double low, double high) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) {
    const auto number = value->get<double>();
    if (std::isfinite(number) && number >= low && number <= high) return number;
  }
  Problem(name, fmt::format("is {}, but it must be a number from {} to {}", Shown(*value), low, high));
  return std::nullopt;
}

std::optional<std::string> Fields::Text(std::string_view name, size_t max_bytes) {
  const Json* value = FindOf(name, [](const Json& v) { return v.is_string(); }, "a text");
  if (value == nullptr) return std::nullopt;
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() <= max_bytes) return text;
  Problem(name, fmt::format("is {} bytes long, but it may have {} at most", text.size(), max_bytes));
  return std::nullopt;
}

std::vector<std::string> Fields::Texts(std::string_view name, size_t max_items) {
  const Json* value = Find(name);
  if (value == nullptr) return {};
  std::vector<std::string> texts;
  const auto add = [&](const Json& item, const std::string& path) {
    if (item.is_string() && !item.get_ref<const std::string&>().empty()) {
      texts.push_back(item.get<std::string>());
    } else {
      Problem(path, fmt::format("is {}, but it must be a text that is not empty", Shown(item)));
    }
  };
  if (!value->is_array()) {
    add(*value, std::string(name));
  } else if (value->size() > max_items) {
    Problem(name, fmt::format("has {} items, but it may have {} at most", value->size(), max_items));
  } else {
    for (size_t i = 0; i < value->size(); ++i) add((*value)[i], fmt::format("{}[{}]", name, i));
  }
  return texts;
}

std::vector<int32_t> Fields::Integers(std::string_view name, int64_t low, int64_t high, size_t max_items) {
  const Json* value = Array(name);
  if (value == nullptr) return {};
  if (value->size() > max_items) {
    Problem(name, fmt::format("has {} items, but it may have {} at most", value->size(), max_items));
    return {};
  }
  std::vector<int32_t> numbers;
  for (size_t i = 0; i < value->size() && ok(); ++i) {
    const Json& item = (*value)[i];
    const bool fits = item.is_number_integer() &&
                      !(item.is_number_unsigned() && item.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) &&
                      item.get<int64_t>() >= low && item.get<int64_t>() <= high;
    if (fits) {
      numbers.push_back(static_cast<int32_t>(item.get<int64_t>()));
    } else {
      Problem(fmt::format("{}[{}]", name, i),
              fmt::format("is {}, but it must be a whole number from {} to {}", Shown(item), low, high));
    }
  }
  return numbers;
}

void Fields::Inputs(const char* name, size_t most,
                    const std::function<void(const Json& value, const std::string& path)>& read) {
  const Json* given = Any(name);
  if (given == nullptr) {
    Problem(name, "is missing");
  } else if (!given->is_array() || (!given->empty() && (*given)[0].is_number())) {
    read(*given, name);
  } else if (given->empty() || given->size() > most) {
    Problem(name, fmt::format("has {} items, but it must have 1 to {}", given->size(), most));
  } else {
    for (size_t i = 0; i < given->size() && ok(); ++i) read((*given)[i], fmt::format("{}[{}]", name, i));
  }
}

ApiStatus Fields::Finish() {
  if (problem_) return std::unexpected(*problem_);
  for (const auto& [name, value] : object_.items()) {
    // Client libraries write all members of what an earlier answer was made of, those without a value as null.
    if (value.is_null() || asked_.contains(name)) continue;
    constexpr size_t kShownName = 100;
    ApiError error = BadField(PathOf(name.substr(0, kShownName)),
                              "is not a member that this server knows; nothing is ignored silently, so leave it out")
                         .error();
    error.code = "unknown_parameter";
    return std::unexpected(std::move(error));
  }
  return {};
}

void Fields::FinishInto(Fields& outer) {
  if (ApiStatus status = Finish(); !status) outer.Problem(std::move(status).error());
}

}  // namespace kvasir::server
