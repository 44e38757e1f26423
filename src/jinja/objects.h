// The objects that globals and methods make: ranges, dict views, namespaces, cyclers, joiners, bound methods.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/iteration.h"
#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// range(start, stop, step), never longer than kMaxLength.
class Range final : public Object {
 public:
  static constexpr int64_t kMaxLength = 100'000;

  Range(int64_t start, int64_t stop, int64_t step, int64_t length)
      : start_(start), stop_(stop), step_(step), length_(length) {}

  std::string_view type_name() const override { return "range"; }
  bool iterable() const override { return true; }
  Result<std::optional<size_t>> Length(Runtime&) override { return static_cast<size_t>(length_); }
  Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name) override;
  Result<std::optional<Value>> Item(Runtime& runtime, const Value& key) override;
  Result<IteratorPtr> Iterate(Runtime& runtime) override;
  Status Repr(Runtime& runtime, std::string& out) override;

  [[nodiscard]] int64_t length() const { return length_; }
  [[nodiscard]] int64_t At(int64_t index) const { return start_ + index * step_; }
  [[nodiscard]] bool SameItems(const Range& other) const;
  [[nodiscard]] size_t HashOfItems() const;

 private:
  int64_t start_;
  int64_t stop_;
  int64_t step_;
  int64_t length_;
};

/// What dict.keys(), .values() and .items() return.
class DictView final : public Object {
 public:
  enum class What : uint8_t { kKeys, kValues, kItems };

  DictView(Value dict, What what) : Object(dict.depth() + 1), dict_(std::move(dict)), what_(what) {}

  std::string_view type_name() const override;
  bool iterable() const override { return true; }
  Result<std::optional<size_t>> Length(Runtime&) override { return dict_.dict().size(); }
  Result<IteratorPtr> Iterate(Runtime& runtime) override;
  Status Repr(Runtime& runtime, std::string& out) override;

  /// Entry `index` as this view shows it.
  [[nodiscard]] Value At(Runtime& runtime, size_t index) const;
  [[nodiscard]] size_t size() const { return dict_.dict().size(); }
  /// Keys and items are compared as sets, values are not.
  [[nodiscard]] bool is_set() const { return what_ != What::kValues; }
  /// `item in view`, of a view that is a set. Errors: a key that is not hashable.
  [[nodiscard]] Result<bool> ContainsItem(Runtime& runtime, const Value& item) const;

 private:
  Value dict_;
  What what_;
};

/// namespace(...): the one object whose attributes a template may set. Its owner keeps it until the end of the
/// rendering, because a namespace may contain itself.
class Namespace final : public Object {
 public:
  std::string_view type_name() const override { return "Namespace"; }
  std::string_view qualified_type_name() const override { return "jinja2.utils.Namespace"; }
  Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name) override;
  Status Repr(Runtime& runtime, std::string& out) override;

  Status Set(Runtime& runtime, std::string_view name, Value value);
  void Clear() { attributes_ = std::make_shared<Dict>(); }

 private:
  std::shared_ptr<Dict> attributes_ = std::make_shared<Dict>();
};

/// cycler(...): hands out its items in turn.
class Cycler final : public Object {
 public:
  explicit Cycler(Value items) : Object(items.depth() + 1), items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  std::string_view qualified_type_name() const override { return "jinja2.utils.Cycler"; }
  Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name) override;

  [[nodiscard]] const Value& current() const { return items_.items()[position_]; }
  void Advance() { position_ = (position_ + 1) % items_.items().size(); }
  void Reset() { position_ = 0; }

 private:
  Value items_;  ///< a tuple, not empty
  size_t position_ = 0;
};

/// joiner(separator): empty at the first call, the separator at every later one.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : Object(separator.depth() + 1), separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  std::string_view qualified_type_name() const override { return "jinja2.utils.Joiner"; }
  bool callable() const override { return true; }
  Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name) override;
  Result<Value> Call(Runtime& runtime, Arguments arguments) override;

 private:
  Value separator_;
  bool used_ = false;
};

/// A global function, or a method together with the value it was taken from.
class BoundBuiltin final : public Object {
 public:
  BoundBuiltin(const Builtin& builtin, Value self)
      : Object(self.depth() + 1), builtin_(builtin), self_(std::move(self)) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Result<Value> Call(Runtime& runtime, Arguments arguments) override;
  Status Repr(Runtime& runtime, std::string& out) override;

 private:
  const Builtin& builtin_;
  Value self_;
};

}  // namespace kvasir::jinja
