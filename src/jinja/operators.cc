// Truth, equality, order, membership and hashing. Every walk over a container takes steps: a value that shares its
// parts can unfold to exponentially many.

#include "jinja/operators.h"

#include <cmath>
#include <functional>

#include "base/check.h"
#include "jinja/big_integer.h"
#include "jinja/dict.h"
#include "jinja/iteration.h"
#include "jinja/objects.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

/// -1, 0, 1; 2 when one is NaN. The x87 format holds every int64 and every double exactly.
int CompareNumbers(const Value& left, const Value& right) {
  if (IsBigInteger(left) || IsBigInteger(right)) return CompareBigIntegers(left, right);
  if (left.is_integral() && right.is_integral()) {
    return left.integer() < right.integer() ? -1 : left.integer() > right.integer() ? 1 : 0;
  }
  const auto widen = [](const Value& v) {
    return v.is_float() ? static_cast<long double>(v.number()) : static_cast<long double>(v.integer());
  };
  const long double a = widen(left);
  const long double b = widen(right);
  if (std::isnan(a) || std::isnan(b)) return 2;
  return a < b ? -1 : a > b ? 1 : 0;
}

bool IsNumber(const Value& value) {
  return value.is_number() || IsBigInteger(value);
}

bool Holds(CompareOp op, int order) {
  switch (op) {
    case CompareOp::kLess: return order == -1;
    case CompareOp::kLessEqual: return order == -1 || order == 0;
    case CompareOp::kGreater: return order == 1;
    case CompareOp::kGreaterEqual: return order == 1 || order == 0;
    default: return false;
  }
}

std::string_view Symbol(CompareOp op) {
  switch (op) {
    case CompareOp::kLess: return "<";
    case CompareOp::kLessEqual: return "<=";
    case CompareOp::kGreater: return ">";
    case CompareOp::kGreaterEqual: return ">=";
    default: return "==";
  }
}

int Sign(int value) {
  return value < 0 ? -1 : value > 0 ? 1 : 0;
}

Result<bool> Order(Runtime& runtime, CompareOp op, const Value& left, const Value& right);

Result<bool> OrderSequences(Runtime& runtime, CompareOp op, const Value& left, const Value& right) {
  const auto& a = left.items();
  const auto& b = right.items();
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    KV_ASSIGN(const bool equal, Equal(runtime, a[i], b[i]));
    if (!equal) return Order(runtime, op, a[i], b[i]);
  }
  return Holds(op, a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0);
}

Result<bool> Order(Runtime& runtime, CompareOp op, const Value& left, const Value& right) {
  KV_TRY(runtime.Step());
  if (IsNumber(left) && IsNumber(right)) return Holds(op, CompareNumbers(left, right));
  if (left.is_string() && right.is_string()) {
    // UTF-8 sorts as its code points do.
    return Holds(op, Sign(left.text().compare(right.text())));
  }
  if (left.is_sequence() && left.kind() == right.kind()) return OrderSequences(runtime, op, left, right);
  if (left.is_undefined()) return RaiseUndefined(left);
  if (right.is_undefined()) return RaiseUndefined(right);
  return Raise("'{}' not supported between instances of '{}' and '{}'", Symbol(op), left.type_name(),
               right.type_name());
}

Result<bool> EqualSequences(Runtime& runtime, const Value& left, const Value& right) {
  const auto& a = left.items();
  const auto& b = right.items();
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    KV_ASSIGN(const bool equal, Equal(runtime, a[i], b[i]));
    if (!equal) return false;
  }
  return true;
}

Result<bool> EqualDicts(Runtime& runtime, const Dict& left, const Dict& right) {
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left.entries()) {
    KV_ASSIGN(const Value* other, right.Find(runtime, key));
    if (other == nullptr) return false;
    KV_ASSIGN(const bool equal, Equal(runtime, value, *other));
    if (!equal) return false;
  }
  return true;
}

/// Views of keys and of items are equal as sets; each view of values is only equal to itself.
Result<bool> EqualViews(Runtime& runtime, const DictView& left, const DictView& right) {
  if (!left.is_set() || !right.is_set() || left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    KV_ASSIGN(const bool contains, right.ContainsItem(runtime, left.At(runtime, i)));
    if (!contains) return false;
  }
  return true;
}

Result<bool> ContainsByScan(Runtime& runtime, const Value& container, const Value& item) {
  if (!IsIterable(container)) return Raise("argument of type '{}' is not iterable", container.type_name());
  KV_ASSIGN(const IteratorPtr iterator, Iterate(runtime, container));
  while (true) {
    KV_TRY(runtime.Step());
    KV_ASSIGN(const std::optional<Value> next, iterator->Next(runtime));
    if (!next) return false;
    KV_ASSIGN(const bool equal, Equal(runtime, *next, item));
    if (equal) return true;
  }
}

}  // namespace

Result<bool> Truth(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kBool:
    case Kind::kInt: return value.integer() != 0;
    case Kind::kFloat: return value.number() != 0;
    case Kind::kString: return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple: return !value.items().empty();
    case Kind::kDict: return value.dict().size() != 0;
    case Kind::kObject: break;
  }
  KV_ASSIGN(const std::optional<size_t> length, value.object()->Length(runtime));
  return !length || *length != 0;
}

Result<bool> Equal(Runtime& runtime, const Value& left, const Value& right) {
  KV_TRY(runtime.Step());
  if (IsNumber(left) && IsNumber(right)) return CompareNumbers(left, right) == 0;
  if (left.is_undefined() || left.is_none()) return left.kind() == right.kind();
  if (left.kind() != right.kind()) return false;
  if (left.shared() == right.shared()) return true;
  switch (left.kind()) {
    case Kind::kString: return left.text() == right.text();
    case Kind::kList:
    case Kind::kTuple: return EqualSequences(runtime, left, right);
    case Kind::kDict: return EqualDicts(runtime, left.dict(), right.dict());
    case Kind::kObject: break;
    default: return false;
  }
  if (const auto* view = left.As<DictView>()) {
    const auto* other = right.As<DictView>();
    return other == nullptr ? Result<bool>(false) : EqualViews(runtime, *view, *other);
  }
  const auto* range = left.As<Range>();
  const auto* other = right.As<Range>();
  return range != nullptr && other != nullptr && range->SameItems(*other);
}

Result<bool> Less(Runtime& runtime, const Value& left, const Value& right) {
  return Order(runtime, CompareOp::kLess, left, right);
}

Result<bool> Contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string()) {
        return Raise("'in <string>' requires string as left operand, not {}", item.type_name());
      }
      KV_TRY(runtime.Step(1 + container.text().size() / 64));
      return container.text().find(item.text()) != std::string::npos;
    case Kind::kList:
    case Kind::kTuple:
      for (const Value& element : container.items()) {
        KV_ASSIGN(const bool equal, Equal(runtime, element, item));
        if (equal) return true;
      }
      return false;
    case Kind::kDict: {
      KV_ASSIGN(const Value* found, container.dict().Find(runtime, item));
      return found != nullptr;
    }
    case Kind::kUndefined: return false;
    default: return ContainsByScan(runtime, container, item);
  }
}

Result<bool> Compare(Runtime& runtime, CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::kEqual: return Equal(runtime, left, right);
    case CompareOp::kIn: return Contains(runtime, right, left);
    case CompareOp::kNotEqual: {
      KV_ASSIGN(const bool equal, Equal(runtime, left, right));
      return !equal;
    }
    case CompareOp::kNotIn: {
      KV_ASSIGN(const bool contains, Contains(runtime, right, left));
      return !contains;
    }
    default: return Order(runtime, op, left, right);
  }
}

bool Identical(const Value& left, const Value& right) {
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kNone: return true;
    case Kind::kBool:
    case Kind::kInt: return left.integer() == right.integer();
    case Kind::kFloat: return left.number() == right.number();
    // Python interns most of the strings that templates compare, so equal texts count as one object.
    case Kind::kString: return left.text() == right.text();
    default: return left.object() == right.object();
  }
}

size_t HashText(std::string_view text) {
  return std::hash<std::string_view>{}(text);
}

Result<size_t> Hash(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kString: return HashText(value.text());
    case Kind::kBool:
    case Kind::kInt: return std::hash<int64_t>{}(value.integer());
    case Kind::kFloat: {
      const double number = value.number();
      if (number == std::floor(number) && std::fabs(number) < 9.2e18) {
        return std::hash<int64_t>{}(static_cast<int64_t>(number));
      }
      return std::hash<double>{}(number);
    }
    case Kind::kTuple: {
      size_t hash = 0x345678;
      for (const Value& item : value.items()) {
        KV_TRY(runtime.Step());
        KV_ASSIGN(const size_t next, Hash(runtime, item));
        hash = (hash ^ next) * 1000003 + 97531;
      }
      return hash;
    }
    case Kind::kList:
    case Kind::kDict: return Raise("unhashable type: '{}'", value.type_name());
    case Kind::kObject:
      if (const auto* range = value.As<Range>()) return range->HashOfItems();
      // As a float that it may be equal to.
      if (const auto* big = value.As<BigInteger>()) return std::hash<double>{}(big->number());
      if (const auto* view = value.As<DictView>(); view != nullptr && view->is_set()) {
        return Raise("unhashable type: '{}'", value.type_name());
      }
      return std::hash<const void*>{}(value.object());
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone: break;
  }
  return static_cast<size_t>(value.kind());
}

Result<size_t> Length(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return 0;
    case Kind::kString: return value.text_length();
    case Kind::kList:
    case Kind::kTuple: return value.items().size();
    case Kind::kDict: return value.dict().size();
    case Kind::kObject: {
      KV_ASSIGN(const std::optional<size_t> length, value.object()->Length(runtime));
      if (length) return *length;
      break;
    }
    default: break;
  }
  return Raise("object of type '{}' has no len()", value.type_name());
}

}  // namespace kvasir::jinja
