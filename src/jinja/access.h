// value.name, value[key] and value[a:b:c], as the sandbox lets a template see them.
#pragma once

#include <string_view>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// `value.name`: an attribute first, then an item; undefined when there is neither. Errors: `value` is undefined.
[[nodiscard]] Result<Value> GetAttribute(Runtime& runtime, const Value& value, std::string_view name);

/// `value[key]`: an item first, then an attribute.
[[nodiscard]] Result<Value> GetItem(Runtime& runtime, const Value& value, const Value& key);

/// `value[start:stop:step]`, None standing for a part left out. Errors: `value` cannot be sliced.
[[nodiscard]] Result<Value> GetSlice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                                     const Value& step);

/// getattr(value, name) without the items: the filter `attr`.
[[nodiscard]] Result<Value> GetOwnAttribute(Runtime& runtime, const Value& value, std::string_view name);

/// The undefined value that stands for a variable which does not exist.
[[nodiscard]] Value UndefinedName(std::string_view name);

}  // namespace kvasir::jinja
