// The values a template computes with: Python's, as far as a template can tell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::jinja {

class Dict;
class Iterator;
class Object;
class Runtime;
class Value;
struct Arguments;
struct List;
struct Text;

using IteratorPtr = std::shared_ptr<Iterator>;

/// Containers nested deeper than this are refused, so that no walk over a value can overflow the stack.
inline constexpr uint32_t kMaxValueDepth = 400;

enum class Kind : uint8_t {
  kMissing,  ///< A variable that was never set; no expression has this value.
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kObject,  ///< Everything else: ranges, views, generators, macros, methods, namespaces, ...
};

/// A dynamically typed value; copies share containers and text. Strings, lists, tuples and dicts never change once
/// made (the sandbox forbids it), so sharing them between threads is safe.
class Value {
 public:
  Value() = default;

  static Value None() { return Value(Kind::kNone); }
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Float(double value);
  static Value Of(std::shared_ptr<Object> object) { return Value(Kind::kObject, std::move(object)); }
  static Value Of(std::shared_ptr<Text> text);
  static Value Of(std::shared_ptr<List> list);
  static Value Of(std::shared_ptr<Dict> dict);
  /// An undefined value; using it for more than printing and testing fails with `message`.
  static Value Undefined(std::string message);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_missing() const { return kind_ == Kind::kMissing; }
  [[nodiscard]] bool is_undefined() const { return kind_ == Kind::kUndefined; }
  [[nodiscard]] bool is_none() const { return kind_ == Kind::kNone; }
  [[nodiscard]] bool is_bool() const { return kind_ == Kind::kBool; }
  /// An int or a bool, which Python takes for an int.
  [[nodiscard]] bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  [[nodiscard]] bool is_float() const { return kind_ == Kind::kFloat; }
  [[nodiscard]] bool is_number() const { return is_integral() || is_float(); }
  [[nodiscard]] bool is_string() const { return kind_ == Kind::kString; }
  [[nodiscard]] bool is_list() const { return kind_ == Kind::kList; }
  [[nodiscard]] bool is_tuple() const { return kind_ == Kind::kTuple; }
  [[nodiscard]] bool is_sequence() const { return is_list() || is_tuple(); }
  [[nodiscard]] bool is_dict() const { return kind_ == Kind::kDict; }
  /// A string of the type Markup: `safe` or escaped text, which escapes what is added to it.
  [[nodiscard]] bool is_markup() const;

  [[nodiscard]] bool boolean() const { return integer_ != 0; }
  [[nodiscard]] int64_t integer() const { return integer_; }  ///< of an integral value
  [[nodiscard]] double number() const;                        ///< of any number, as a double
  [[nodiscard]] const std::string& text() const;              ///< of a string
  [[nodiscard]] size_t text_length() const;                   ///< of a string, in code points
  [[nodiscard]] const std::vector<Value>& items() const;      ///< of a list or tuple
  [[nodiscard]] const Dict& dict() const;                     ///< of a dict
  [[nodiscard]] Object* object() const { return object_.get(); }
  [[nodiscard]] const std::shared_ptr<Object>& shared() const { return object_; }
  /// The object as a T when this is a kObject of that type, else null.
  template <typename T>
  [[nodiscard]] T* As() const {
    return kind_ == Kind::kObject ? dynamic_cast<T*>(object_.get()) : nullptr;
  }

  [[nodiscard]] uint32_t depth() const;
  /// Why an undefined value is undefined.
  [[nodiscard]] std::string_view undefined_message() const;
  /// The type's name as Python prints it in errors, for example "NoneType".
  [[nodiscard]] std::string_view type_name() const;

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Value(Kind kind, std::shared_ptr<Object> object) : kind_(kind), object_(std::move(object)) {}

  Kind kind_ = Kind::kMissing;
  union {
    int64_t integer_ = 0;  // NOLINT(readability-identifier-naming): private to Value, though public in the union
    double float_;         // NOLINT(readability-identifier-naming): private to Value, though public in the union
  };
  std::shared_ptr<Object> object_;
};

/// Arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

/// What one rendering has in memory, and has ever had.
struct Meter {
  uint64_t live_bytes = 0;
  uint64_t total_bytes = 0;
};

/// Bytes that count as in use while this lives.
class Held {
 public:
  explicit Held(Meter* meter, size_t bytes) : meter_(meter), bytes_(bytes) {
    if (meter_ == nullptr) return;
    meter_->live_bytes += bytes_;
    meter_->total_bytes += bytes_;
  }
  ~Held() {
    if (meter_ != nullptr) meter_->live_bytes -= bytes_;
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Meter* meter_;
  size_t bytes_;
};

/// What a Value points to. The virtual functions are what an object of kind kObject can do; each has the answer of an
/// object that cannot.
class Object : public std::enable_shared_from_this<Object> {
 public:
  explicit Object(uint32_t depth = 1) : depth_(depth) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  /// Nesting of containers below and including this one.
  [[nodiscard]] uint32_t depth() const { return depth_; }

  [[nodiscard]] virtual std::string_view type_name() const = 0;
  /// As "'...' has no attribute" names it, without the word object.
  [[nodiscard]] virtual std::string_view qualified_type_name() const { return type_name(); }
  [[nodiscard]] virtual bool callable() const { return false; }
  [[nodiscard]] virtual bool iterable() const { return false; }
  /// The length, or nothing when the type has none.
  virtual Result<std::optional<size_t>> Length(Runtime& runtime);
  /// The attribute, or nothing when there is none of that name.
  virtual Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name);
  /// The item, or nothing when the type has no items or not this one.
  virtual Result<std::optional<Value>> Item(Runtime& runtime, const Value& key);
  /// An iterator, or null when the type is not iterable.
  virtual Result<IteratorPtr> Iterate(Runtime& runtime);
  virtual Result<Value> Call(Runtime& runtime, Arguments arguments);
  /// What repr() and printing give.
  virtual Status Repr(Runtime& runtime, std::string& out);

 protected:
  void Deepen(uint32_t depth) { depth_ = depth > depth_ ? depth : depth_; }

 private:
  uint32_t depth_;
};

/// Immutable valid UTF-8. Without a meter it is a constant of the program.
struct Text final : Object {
  Text(std::string text, bool is_markup, Meter* meter = nullptr);
  std::string_view type_name() const override { return markup ? "Markup" : "str"; }

  const std::string text;
  const size_t length;  ///< in code points
  const bool markup;

 private:
  Held held_;
};

/// A list, or a tuple.
struct List final : Object {
  List(std::vector<Value> values, bool is_tuple, Meter* meter);
  std::string_view type_name() const override { return tuple ? "tuple" : "list"; }

  const std::vector<Value> items;
  const bool tuple;
  bool group = false;  ///< The tuple is one of groupby's and has the attributes grouper and list.

 private:
  Held held_;
};

/// Why a value is undefined.
struct UndefinedReason final : Object {
  explicit UndefinedReason(std::string why) : message(std::move(why)) {}
  std::string_view type_name() const override { return "Undefined"; }

  const std::string message;
};

/// Yields values one by one. Generators are iterators; everything iterable makes one.
class Iterator : public Object {
 public:
  using Object::Object;
  std::string_view type_name() const override { return "generator"; }
  bool iterable() const override { return true; }
  Result<std::optional<size_t>> Length(Runtime& runtime) override;

  /// The next value, or nothing at the end.
  virtual Result<std::optional<Value>> Next(Runtime& runtime) = 0;
};

}  // namespace kvasir::jinja
