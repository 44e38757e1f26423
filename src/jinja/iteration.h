// Walking over values.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// iter(value). Errors: "'int' object is not iterable".
[[nodiscard]] Result<IteratorPtr> Iterate(Runtime& runtime, const Value& value);
/// reversed(value), or null when its type cannot be walked backwards.
[[nodiscard]] Result<IteratorPtr> IterateReversed(Runtime& runtime, const Value& value);
/// list(value), as items.
[[nodiscard]] Result<std::vector<Value>> Collect(Runtime& runtime, const Value& value);
/// Whether iter(value) would work.
[[nodiscard]] bool IsIterable(const Value& value);

/// An iterator whose Next is a function object `Result<std::optional<Value>>(Runtime&)`.
template <typename Function>
class FunctionIterator final : public Iterator {
 public:
  FunctionIterator(Function function, uint32_t depth) : Iterator(depth), function_(std::move(function)) {}
  Result<std::optional<Value>> Next(Runtime& runtime) override { return function_(runtime); }

 private:
  Function function_;
};

/// A Python generator. `depth` is that of the deepest value `function` keeps.
template <typename Function>
[[nodiscard]] Value MakeGenerator(Runtime& runtime, uint32_t depth, Function function) {
  return runtime.MakeObject(std::make_shared<FunctionIterator<Function>>(std::move(function), depth + 1));
}

}  // namespace kvasir::jinja
