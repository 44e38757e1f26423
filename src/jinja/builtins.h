// The registry of what templates can call: one table row per filter, test, method and global function.
//
// A row is a name, its parameters and a C++ function, so that a new filter is one function and one row. Parameters are
// written as in "width? first? blank?": a name followed by ? may be left out, a name led by / cannot be passed by
// keyword, and * hands the arguments over as they are.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <unordered_map>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

class Call;

using BuiltinFunction = Result<Value> (*)(Call& call);

struct Builtin {
  std::string_view name;
  std::string_view parameters;
  BuiltinFunction function = nullptr;  ///< null: known, and refused (a method that would change its object)
};

/// One call of a built-in: the value it works on and its arguments, matched with its parameters.
class Call {
 public:
  static constexpr size_t kMaxParameters = 8;

  Call(Runtime& the_runtime, std::string_view the_name, const Value& the_self, Arguments& the_arguments)
      : runtime(the_runtime), name(the_name), self(the_self), arguments(the_arguments) {}

  /// Matches the arguments with `parameters`. Errors: one too many, too few, unknown or twice.
  Status Bind(std::string_view parameters);

  /// Argument `index`, or null when it was left out.
  const Value* operator[](size_t index) const { return bound_[index]; }
  /// Argument `index` as an integer. Errors: of another type.
  [[nodiscard]] Result<int64_t> Int(size_t index, int64_t fallback) const;
  /// Argument `index` as a string. Errors: of another type.
  [[nodiscard]] Result<std::string_view> Text(size_t index, std::string_view fallback = {}) const;
  /// The truth of argument `index`.
  [[nodiscard]] Result<bool> Flag(size_t index, bool fallback) const;
  /// Whether argument `index` was given and is not None.
  [[nodiscard]] bool Has(size_t index) const { return bound_[index] != nullptr && !bound_[index]->is_none(); }

  Runtime& runtime;
  std::string_view name;
  const Value& self;
  Arguments& arguments;

 private:
  std::array<const Value*, kMaxParameters> bound_{};
};

/// A lookup table over rows, made once.
class BuiltinTable {
 public:
  BuiltinTable(std::initializer_list<std::span<const Builtin>> groups);

  /// The row of `name`, or null.
  [[nodiscard]] const Builtin* Find(std::string_view name) const;

 private:
  std::unordered_map<std::string_view, const Builtin*> rows_;
};

/// Calls `builtin` on `self`.
[[nodiscard]] Result<Value> Invoke(Runtime& runtime, const Builtin& builtin, const Value& self, Arguments arguments);

[[nodiscard]] const BuiltinTable& Filters();
[[nodiscard]] const BuiltinTable& Tests();
[[nodiscard]] const BuiltinTable& Globals();
/// The methods of the type of `value`, or null when it has none.
[[nodiscard]] const BuiltinTable* MethodsOf(const Value& value);

/// The groups of rows, each in the file that implements it.
[[nodiscard]] std::span<const Builtin> TextFilters();
[[nodiscard]] std::span<const Builtin> LayoutFilters();
[[nodiscard]] std::span<const Builtin> NumberFilters();
[[nodiscard]] std::span<const Builtin> SequenceFilters();
[[nodiscard]] std::span<const Builtin> SelectionFilters();
[[nodiscard]] std::span<const Builtin> MarkupFilters();
[[nodiscard]] std::span<const Builtin> StringMethods();
[[nodiscard]] std::span<const Builtin> StringSearches();
[[nodiscard]] std::span<const Builtin> StringPredicates();
[[nodiscard]] std::span<const Builtin> MarkupMethods();

}  // namespace kvasir::jinja
