#include "jinja/builtins.h"

#include <algorithm>

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/operators.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

struct Parameter {
  std::string_view name;
  bool optional = false;
  bool positional_only = false;
};

/// Takes the first word of `parameters` off and reads it.
Parameter NextParameter(std::string_view& parameters) {
  const size_t end = std::min(parameters.find(' '), parameters.size());
  Parameter parameter{parameters.substr(0, end)};
  parameters.remove_prefix(std::min(end + 1, parameters.size()));
  if (parameter.name.starts_with('/')) {
    parameter.positional_only = true;
    parameter.name.remove_prefix(1);
  }
  if (parameter.name.ends_with('?')) {
    parameter.optional = true;
    parameter.name.remove_suffix(1);
  }
  return parameter;
}

}  // namespace

Status Call::Bind(std::string_view parameters) {
  if (parameters == "*") return {};
  const size_t given = arguments.positional.size();
  size_t used_keywords = 0;
  size_t index = 0;
  for (; !parameters.empty(); ++index) {
    const Parameter parameter = NextParameter(parameters);
    if (index < given) bound_[index] = &arguments.positional[index];
    for (const auto& [key, value] : arguments.keyword) {
      if (key != parameter.name || parameter.positional_only) continue;
      if (index < given) return Raise("{}() got multiple values for argument '{}'", name, key);
      bound_[index] = &value;
      ++used_keywords;
    }
    if (bound_[index] == nullptr && !parameter.optional) {
      return Raise("{}() missing 1 required positional argument: '{}'", name, parameter.name);
    }
  }
  if (given > index) return Raise("{}() takes at most {} arguments ({} given)", name, index, given);
  if (used_keywords < arguments.keyword.size()) {
    return Raise("{}() got an unexpected keyword argument among {} given", name, arguments.keyword.size());
  }
  return {};
}

Result<int64_t> Call::Int(size_t index, int64_t fallback) const {
  const Value* value = bound_[index];
  if (value == nullptr) return fallback;
  if (value->is_undefined()) return RaiseUndefined(*value);
  if (IsBigInteger(*value)) return RaiseNotComputed(*value, *value);
  if (!value->is_integral()) return Raise("'{}' object cannot be interpreted as an integer", value->type_name());
  return value->integer();
}

Result<std::string_view> Call::Text(size_t index, std::string_view fallback) const {
  const Value* value = bound_[index];
  if (value == nullptr) return fallback;
  if (!value->is_string()) return Raise("{}() argument {} must be str, not {}", name, index + 1, value->type_name());
  return value->text();
}

Result<bool> Call::Flag(size_t index, bool fallback) const {
  if (bound_[index] == nullptr) return fallback;
  return Truth(runtime, *bound_[index]);
}

BuiltinTable::BuiltinTable(std::initializer_list<std::span<const Builtin>> groups) {
  for (const auto& group : groups) {
    for (const Builtin& row : group) rows_.emplace(row.name, &row);
  }
}

const Builtin* BuiltinTable::Find(std::string_view name) const {
  const auto it = rows_.find(name);
  return it == rows_.end() ? nullptr : it->second;
}

Result<Value> Invoke(Runtime& runtime, const Builtin& builtin, const Value& self, Arguments arguments) {
  KV_TRY(runtime.Step());
  Call call(runtime, builtin.name, self, arguments);
  KV_TRY(call.Bind(builtin.parameters));
  return builtin.function(call);
}

const BuiltinTable& Filters() {
  static const BuiltinTable table{TextFilters(),     LayoutFilters(),    NumberFilters(),
                                  SequenceFilters(), SelectionFilters(), MarkupFilters()};
  return table;
}

}  // namespace kvasir::jinja
