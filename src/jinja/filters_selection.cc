// Filters that pick from, or map over, other values; and tojson.

#include <algorithm>

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/attribute_getter.h"
#include "jinja/builtins.h"
#include "jinja/iteration.h"
#include "jinja/json_text.h"
#include "jinja/operators.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

Result<Value> Default(Call& call) {
  KV_ASSIGN(const bool boolean, call.Flag(1, false));
  bool replaces = call.self.is_undefined();
  if (!replaces && boolean) {
    KV_ASSIGN(const bool truth, Truth(call.runtime, call.self));
    replaces = !truth;
  }
  if (!replaces) return call.self;
  return call[0] == nullptr ? call.runtime.String("") : *call[0];
}

Result<Value> Attr(Call& call) {
  KV_ASSIGN(const std::string_view name, call.Text(0));
  return GetOwnAttribute(call.runtime, call.self, name);
}

uint32_t DepthOf(const Arguments& arguments) {
  uint32_t depth = 1;
  for (const Value& value : arguments.positional) depth = std::max(depth, value.depth());
  for (const auto& [key, value] : arguments.keyword) depth = std::max(depth, value.depth());
  return depth;
}

/// A filter or test given by name, with the rest of the arguments.
struct Named {
  const Builtin* builtin = nullptr;
  Arguments arguments;

  Result<Value> Apply(Runtime& runtime, const Value& value) const {
    return Invoke(runtime, *builtin, value, arguments);
  }
};

Result<Named> TakeNamed(const BuiltinTable& table, std::string_view what, Arguments arguments, size_t position) {
  const Value name = arguments.positional[position];
  Named named;
  named.builtin = name.is_string() ? table.Find(name.text()) : nullptr;
  if (named.builtin == nullptr) {
    return Raise("No {} named '{}'.", what, name.is_string() ? name.text() : std::string(name.type_name()));
  }
  arguments.positional.erase(arguments.positional.begin(),
                             arguments.positional.begin() + static_cast<ptrdiff_t>(position) + 1);
  named.arguments = std::move(arguments);
  return named;
}

/// What `map` does to each value.
struct Mapping {
  std::optional<AttributeGetter> getter;
  Named filter;

  static Result<Mapping> Make(Runtime& runtime, Arguments arguments) {
    Mapping mapping;
    const auto is_attribute = [](const auto& entry) { return entry.first == "attribute"; };
    const auto attribute = std::ranges::find_if(arguments.keyword, is_attribute);
    if (!arguments.positional.empty() || attribute == arguments.keyword.end()) {
      if (arguments.positional.empty()) return Raise("map requires a filter argument");
      KV_ASSIGN(mapping.filter, TakeNamed(Filters(), "filter", std::move(arguments), 0));
      return mapping;
    }
    KV_ASSIGN(mapping.getter, AttributeGetter::Make(runtime, &attribute->second));
    for (const auto& [key, value] : arguments.keyword) {
      if (key == "default" && !value.is_none()) mapping.getter->fallback = value;
      if (key != "default" && key != "attribute") return Raise("Unexpected keyword argument '{}'", key);
    }
    return mapping;
  }

  Result<Value> Apply(Runtime& runtime, const Value& value) const {
    return getter ? getter->Get(runtime, value) : filter.Apply(runtime, value);
  }
};

/// Which values `select` and its relatives keep.
struct Selection {
  AttributeGetter getter;
  Named test;

  static Result<Selection> Make(Runtime& runtime, Arguments arguments, bool by_attribute) {
    Selection selection;
    if (by_attribute) {
      if (arguments.positional.empty()) return Raise("Missing parameter for attribute name");
      KV_ASSIGN(selection.getter, AttributeGetter::Make(runtime, &arguments.positional[0]));
    }
    const size_t position = by_attribute ? 1 : 0;
    if (arguments.positional.size() > position) {
      KV_ASSIGN(selection.test, TakeNamed(Tests(), "test", std::move(arguments), position));
    }
    return selection;
  }

  Result<bool> Keeps(Runtime& runtime, const Value& value) const {
    KV_ASSIGN(Value looked_at, getter.Get(runtime, value));
    if (test.builtin != nullptr) {
      KV_ASSIGN(looked_at, test.Apply(runtime, looked_at));
    }
    return Truth(runtime, looked_at);
  }
};

/// The source of a lazy filter, opened when its first value is asked for: a generator nobody reads raises nothing.
class LazySource {
 public:
  explicit LazySource(Value value) : value_(std::move(value)) {}

  /// Opens the source. False when it is empty, or was.
  Result<bool> Open(Runtime& runtime) {
    if (iterator_ != nullptr) return true;
    KV_ASSIGN(const bool truth, Truth(runtime, value_));
    if (!truth) return false;
    KV_ASSIGN(iterator_, Iterate(runtime, value_));
    return true;
  }
  Iterator& iterator() { return *iterator_; }

 private:
  Value value_;
  IteratorPtr iterator_;
};

Result<Value> Map(Call& call) {
  const uint32_t depth = std::max(call.self.depth(), DepthOf(call.arguments));
  auto next = [source = LazySource(call.self), arguments = std::move(call.arguments),
               mapping = std::optional<Mapping>()](Runtime& runtime) mutable -> Result<std::optional<Value>> {
    KV_TRY(runtime.Step());
    KV_ASSIGN(const bool open, source.Open(runtime));
    if (!open) return std::nullopt;
    if (!mapping) {
      KV_ASSIGN(mapping, Mapping::Make(runtime, arguments));
    }
    KV_ASSIGN(const std::optional<Value> item, source.iterator().Next(runtime));
    if (!item) return std::nullopt;
    KV_ASSIGN(Value mapped, mapping->Apply(runtime, *item));
    return mapped;
  };
  return MakeGenerator(call.runtime, depth, std::move(next));
}

template <bool keeps, bool by_attribute>
Result<Value> Select(Call& call) {
  const uint32_t depth = std::max(call.self.depth(), DepthOf(call.arguments));
  auto next = [source = LazySource(call.self), arguments = std::move(call.arguments),
               selection = std::optional<Selection>()](Runtime& runtime) mutable -> Result<std::optional<Value>> {
    KV_ASSIGN(const bool open, source.Open(runtime));
    if (!open) return std::nullopt;
    if (!selection) {
      KV_ASSIGN(selection, Selection::Make(runtime, arguments, by_attribute));
    }
    while (true) {
      KV_TRY(runtime.Step());
      KV_ASSIGN(std::optional<Value> item, source.iterator().Next(runtime));
      if (!item) return std::nullopt;
      KV_ASSIGN(const bool holds, selection->Keeps(runtime, *item));
      if (holds == keeps) return item;
    }
  };
  return MakeGenerator(call.runtime, depth, std::move(next));
}

Status ReadIndent(Call& call, const Value& indent, JsonStyle& style) {
  if (indent.is_none()) return {};
  style.pretty = true;
  if (indent.is_string()) {
    style.indent = indent.text();
    return {};
  }
  if (!indent.is_integral()) return Raise("can't multiply sequence by non-int of type '{}'", indent.type_name());
  const size_t width = indent.integer() > 0 ? static_cast<size_t>(indent.integer()) : 0;
  KV_TRY(call.runtime.Reserve(width, kMaxValueDepth));
  style.indent.assign(width, ' ');
  return {};
}

Result<Value> ToJsonFilter(Call& call) {
  JsonStyle style;
  KV_ASSIGN(style.ensure_ascii, call.Flag(0, false));
  if (call[1] != nullptr) KV_TRY(ReadIndent(call, *call[1], style));
  if (style.pretty) style.item_separator.assign(1, ',');
  if (call.Has(2)) {
    KV_ASSIGN(const std::vector<Value> separators, Collect(call.runtime, *call[2]));
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string()) {
      return Raise("separators must be two strings");
    }
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  KV_ASSIGN(style.sort_keys, call.Flag(3, false));
  KV_ASSIGN(std::string json, ToJson(call.runtime, call.self, style));
  return call.runtime.String(std::move(json));
}

constexpr Builtin kSelectionFilters[] = {
    {"default", "default_value? boolean?", Default},
    {"d", "default_value? boolean?", Default},
    {"attr", "name", Attr},
    {"map", "*", Map},
    {"select", "*", Select<true, false>},
    {"reject", "*", Select<false, false>},
    {"selectattr", "*", Select<true, true>},
    {"rejectattr", "*", Select<false, true>},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", ToJsonFilter},
};

}  // namespace

std::span<const Builtin> SelectionFilters() {
  return kSelectionFilters;
}

}  // namespace kvasir::jinja
