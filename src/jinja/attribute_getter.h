// The `attribute=` argument of filters: "address.city", "items.0", 3.
#pragma once

#include <optional>
#include <vector>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// Looks a path of attributes up in values.
class AttributeGetter {
 public:
  /// Reads `attribute`, None being the value itself. A part made of digits is an index.
  static Result<AttributeGetter> Make(Runtime& runtime, const Value* attribute);
  /// For "age,name": one getter per part between commas.
  static Result<std::vector<AttributeGetter>> MakeSeveral(Runtime& runtime, const Value* attribute);

  /// What is found in `value`. Errors: a part of something undefined.
  Result<Value> Get(Runtime& runtime, const Value& value) const;

  /// Strings in lower case, so that an order or a comparison ignores case.
  bool ignore_case = false;
  /// Takes the place of anything undefined on the path, when set.
  std::optional<Value> fallback;

  [[nodiscard]] uint32_t depth() const { return fallback ? fallback->depth() : 1; }

 private:
  std::vector<Value> parts_;
};

}  // namespace kvasir::jinja
