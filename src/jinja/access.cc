#include "jinja/access.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/objects.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// What every Python object has and no template may touch.
bool IsObjectInternal(std::string_view name) {
  static constexpr std::array<std::string_view, 24> kNames = {"__class__",        "__doc__",
                                                              "__init__",         "__repr__",
                                                              "__str__",          "__eq__",
                                                              "__ne__",           "__lt__",
                                                              "__le__",           "__gt__",
                                                              "__ge__",           "__hash__",
                                                              "__new__",          "__reduce__",
                                                              "__dir__",          "__format__",
                                                              "__sizeof__",       "__getattribute__",
                                                              "__setattr__",      "__delattr__",
                                                              "__reduce_ex__",    "__init_subclass__",
                                                              "__subclasshook__", "__module__"};
  return std::ranges::find(kNames, name) != kNames.end();
}

std::string TypeForMessage(const Value& value) {
  if (value.is_none()) return "None";
  if (value.kind() == Kind::kObject) return fmt::format("{} object", value.object()->qualified_type_name());
  if (value.is_markup()) return "markupsafe.Markup object";
  return fmt::format("{} object", value.type_name());
}

Value UnsafeAttribute(const Value& value, std::string_view name) {
  return Value::Undefined(fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, value.type_name()));
}

Value MissingAttribute(const Value& value, std::string_view name) {
  std::string quoted;
  AppendQuoted(name, quoted);
  return Value::Undefined(fmt::format("'{}' has no attribute {}", TypeForMessage(value), quoted));
}

std::optional<Value> NumberAttribute(const Value& value, std::string_view name) {
  if (name == "real") return value.is_bool() ? Value::Int(value.integer()) : value;
  if (name == "imag") return value.is_float() ? Value::Float(0) : Value::Int(0);
  if (value.is_float()) return std::nullopt;
  if (name == "numerator") return Value::Int(value.integer());
  if (name == "denominator") return Value::Int(1);
  return std::nullopt;
}

/// getattr(value, name), after the sandbox has had its say; nothing when there is no such attribute.
Result<std::optional<Value>> FindAttribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (IsObjectInternal(name)) return UnsafeAttribute(value, name);
  if (value.kind() == Kind::kObject) {
    KV_ASSIGN(std::optional<Value> found, value.object()->Attribute(runtime, name));
    if (found && name.starts_with('_')) return UnsafeAttribute(value, name);
    return found;
  }
  if (value.is_number()) {
    if (auto found = NumberAttribute(value, name)) return found;
  }
  if (value.is_tuple() && static_cast<const List*>(value.object())->group) {
    if (name == "grouper") return value.items()[0];
    if (name == "list") return value.items()[1];
  }
  const BuiltinTable* methods = MethodsOf(value);
  const Builtin* method = methods == nullptr ? nullptr : methods->Find(name);
  if (method == nullptr) return std::nullopt;
  if (method->function == nullptr) return UnsafeAttribute(value, name);
  return runtime.MakeObject(std::make_shared<BoundBuiltin>(*method, value));
}

/// value[key], or nothing when Python would raise TypeError, IndexError or KeyError.
Result<std::optional<Value>> FindItem(Runtime& runtime, const Value& value, const Value& key) {
  switch (value.kind()) {
    case Kind::kDict: {
      auto found = value.dict().Find(runtime, key);
      if (!found) {
        if (found.error().code == ErrorCode::kInvalidArgument) return std::nullopt;  // unhashable
        return std::unexpected(std::move(found).error());
      }
      return *found == nullptr ? std::nullopt : std::optional<Value>(**found);
    }
    case Kind::kList:
    case Kind::kTuple: {
      if (!key.is_integral()) return std::nullopt;
      const auto size = static_cast<int64_t>(value.items().size());
      const int64_t index = key.integer() < 0 ? key.integer() + size : key.integer();
      if (index < 0 || index >= size) return std::nullopt;
      return value.items()[static_cast<size_t>(index)];
    }
    case Kind::kString: {
      if (!key.is_integral()) return std::nullopt;
      const auto size = static_cast<int64_t>(value.text_length());
      const int64_t index = key.integer() < 0 ? key.integer() + size : key.integer();
      if (index < 0 || index >= size) return std::nullopt;
      const std::string& text = value.text();
      size_t offset = static_cast<size_t>(index);
      if (text.size() != value.text_length()) {
        KV_TRY(runtime.Step(1 + offset / 64));
        offset = ByteOffset(text, offset);
      }
      return runtime.String(text.substr(offset, DecodeAt(text, offset).bytes), value.is_markup());
    }
    case Kind::kObject: return value.object()->Item(runtime, key);
    default: return std::nullopt;
  }
}

struct SliceBounds {
  int64_t start;
  int64_t count;
  int64_t step;
};

/// Clamps as Python's slice.indices does.
Result<SliceBounds> ResolveSlice(int64_t size, const Value& start, const Value& stop, const Value& step) {
  for (const Value* part : {&start, &stop, &step}) {
    if (!part->is_none() && !part->is_integral()) {
      return Raise("slice indices must be integers or None or have an __index__ method");
    }
  }
  const int64_t by = step.is_none() ? 1 : step.integer();
  if (by == 0) return Raise("slice step cannot be zero");
  const int64_t low = by > 0 ? 0 : -1;
  const int64_t high = by > 0 ? size : size - 1;
  const auto clamp = [&](const Value& part, int64_t fallback) {
    if (part.is_none()) return fallback;
    int64_t index = part.integer();
    if (index < 0) index = index < -size ? low : index + size;
    return std::clamp(index, low, high);
  };
  const int64_t from = clamp(start, by > 0 ? low : high);
  const int64_t to = clamp(stop, by > 0 ? high : low);
  int64_t count = 0;
  if (by > 0 && from < to) count = (to - from - 1) / by + 1;
  // Counting down by INT64_MIN is one step whatever the distance, and -INT64_MIN does not exist.
  if (by < 0 && from > to) count = by < -size - 1 ? 1 : (from - to - 1) / -by + 1;
  return SliceBounds{from, count, by};
}

Result<Value> SliceText(Runtime& runtime, const Value& value, const SliceBounds& bounds) {
  const std::string& text = value.text();
  if (bounds.step == 1) {
    const auto start = static_cast<size_t>(bounds.start);
    const auto count = static_cast<size_t>(bounds.count);
    if (text.size() == value.text_length()) return runtime.String(text.substr(start, count), value.is_markup());
    KV_TRY(runtime.Step(1 + text.size() / 64));
    const size_t from = ByteOffset(text, start);
    const std::string_view rest = std::string_view(text).substr(from);
    return runtime.String(std::string(rest.substr(0, ByteOffset(rest, count))), value.is_markup());
  }
  KV_TRY(runtime.Step(1 + text.size() / 8));
  const std::u32string characters = Decode(text);
  std::u32string picked;
  for (int64_t i = 0; i < bounds.count; ++i) {
    picked.push_back(characters[static_cast<size_t>(bounds.start + i * bounds.step)]);
  }
  return runtime.String(Encode(picked), value.is_markup());
}

}  // namespace

Value UndefinedName(std::string_view name) {
  std::string quoted;
  AppendQuoted(name, quoted);
  return Value::Undefined(quoted + " is undefined");
}

Result<Value> GetAttribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is_undefined()) return RaiseUndefined(value);
  KV_ASSIGN(std::optional<Value> attribute, FindAttribute(runtime, value, name));
  if (attribute) return std::move(*attribute);
  if (value.is_dict()) {
    if (const Value* item = value.dict().FindText(name)) return *item;
  } else if (value.kind() == Kind::kObject) {
    KV_ASSIGN(std::optional<Value> item, value.object()->Item(runtime, runtime.String(std::string(name))));
    if (item) return std::move(*item);
  }
  return MissingAttribute(value, name);
}

Result<Value> GetOwnAttribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is_undefined()) return RaiseUndefined(value);
  KV_ASSIGN(std::optional<Value> attribute, FindAttribute(runtime, value, name));
  return attribute ? std::move(*attribute) : MissingAttribute(value, name);
}

Result<Value> GetItem(Runtime& runtime, const Value& value, const Value& key) {
  if (value.is_undefined()) return RaiseUndefined(value);
  KV_ASSIGN(std::optional<Value> item, FindItem(runtime, value, key));
  if (item) return std::move(*item);
  if (key.is_string()) {
    KV_ASSIGN(std::optional<Value> attribute, FindAttribute(runtime, value, key.text()));
    return attribute ? std::move(*attribute) : MissingAttribute(value, key.text());
  }
  KV_ASSIGN(const std::string shown, ToRepr(runtime, key));
  return Value::Undefined(fmt::format("{} has no element {}", TypeForMessage(value), shown));
}

Result<Value> GetSlice(Runtime& runtime, const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) return RaiseUndefined(value);
  if (value.is_dict()) return Raise("unhashable type: 'slice'");
  const auto* range = value.As<Range>();
  if (!value.is_string() && !value.is_sequence() && range == nullptr) {
    return Raise("'{}' object is not subscriptable", value.type_name());
  }
  const int64_t size = value.is_string()     ? static_cast<int64_t>(value.text_length())
                       : value.is_sequence() ? static_cast<int64_t>(value.items().size())
                                             : range->length();
  KV_ASSIGN(const SliceBounds bounds, ResolveSlice(size, start, stop, step));
  if (value.is_string()) return SliceText(runtime, value, bounds);
  if (range != nullptr) {
    if (bounds.count == 0) return runtime.MakeObject(std::make_shared<Range>(0, 0, 1, 0));
    const int64_t by = range->length() < 2 ? 1 : (range->At(1) - range->At(0)) * bounds.step;
    const int64_t first = range->At(bounds.start);
    return runtime.MakeObject(std::make_shared<Range>(first, first + by * bounds.count, by, bounds.count));
  }
  KV_TRY(runtime.Step(1 + static_cast<uint64_t>(bounds.count) / 16));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(bounds.count));
  for (int64_t i = 0; i < bounds.count; ++i) {
    items.push_back(value.items()[static_cast<size_t>(bounds.start + i * bounds.step)]);
  }
  return value.is_list() ? runtime.MakeList(std::move(items)) : runtime.MakeTuple(std::move(items));
}

}  // namespace kvasir::jinja
