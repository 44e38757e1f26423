// The methods of list, tuple, dict, range and numbers, and which table belongs to which type. The ones that would
// change their object are known, and refused.

#include <bit>
#include <cmath>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/iteration.h"
#include "jinja/objects.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

template <DictView::What what>
Result<Value> View(Call& call) {
  return call.runtime.MakeObject(std::make_shared<DictView>(call.self, what));
}

Result<Value> Get(Call& call) {
  KV_ASSIGN(const Value* found, call.self.dict().Find(call.runtime, *call[0]));
  if (found != nullptr) return *found;
  return call[1] == nullptr ? Value::None() : *call[1];
}

Result<Value> CopyOf(Call& call) {
  return call.self;
}

Result<Value> FromKeys(Call& call) {
  KV_ASSIGN(const std::vector<Value> keys, Collect(call.runtime, *call[0]));
  auto dict = std::make_shared<Dict>();
  for (const Value& key : keys) {
    KV_TRY(dict->Insert(call.runtime, key, call[1] == nullptr ? Value::None() : *call[1]));
  }
  return call.runtime.MakeDict(std::move(dict));
}

Result<Value> CountItem(Call& call) {
  int64_t count = 0;
  for (const Value& item : call.self.items()) {
    KV_ASSIGN(const bool equal, Equal(call.runtime, item, *call[0]));
    count += equal ? 1 : 0;
  }
  return Value::Int(count);
}

Result<Value> IndexOfItem(Call& call) {
  const auto& items = call.self.items();
  const auto size = static_cast<int64_t>(items.size());
  KV_ASSIGN(int64_t start, call.Int(1, 0));
  KV_ASSIGN(int64_t stop, call.Int(2, size));
  if (start < 0) start = start < -size ? 0 : start + size;
  if (stop < 0) stop = stop < -size ? 0 : stop + size;
  for (int64_t i = start; i < std::min(stop, size); ++i) {
    KV_ASSIGN(const bool equal, Equal(call.runtime, items[static_cast<size_t>(i)], *call[0]));
    if (equal) return Value::Int(i);
  }
  KV_ASSIGN(const std::string shown, ToRepr(call.runtime, *call[0]));
  return Raise("{} is not in {}", shown, call.self.type_name());
}

uint64_t Magnitude(const Value& value) {
  const auto bits = static_cast<uint64_t>(value.integer());
  return value.integer() < 0 ? 0 - bits : bits;
}

Result<Value> BitLength(Call& call) {
  return Value::Int(std::bit_width(Magnitude(call.self)));
}
Result<Value> BitCount(Call& call) {
  return Value::Int(std::popcount(Magnitude(call.self)));
}
Result<Value> Conjugate(Call& call) {
  return call.self.is_bool() ? Value::Int(call.self.integer()) : call.self;
}
Result<Value> IsIntegral(Call& call) {
  return Value::Bool(call.self.number() == std::floor(call.self.number()));
}

constexpr Builtin kDictMethods[] = {
    {"keys", "", View<DictView::What::kKeys>},
    {"values", "", View<DictView::What::kValues>},
    {"items", "", View<DictView::What::kItems>},
    {"get", "/key /default?", Get},
    {"copy", "", CopyOf},
    {"fromkeys", "/iterable /value?", FromKeys},
    {"clear", "*", nullptr},
    {"pop", "*", nullptr},
    {"popitem", "*", nullptr},
    {"setdefault", "*", nullptr},
    {"update", "*", nullptr},
};

constexpr Builtin kListMethods[] = {
    {"count", "/value", CountItem}, {"index", "/value /start? /stop?", IndexOfItem},
    {"copy", "", CopyOf},           {"append", "*", nullptr},
    {"clear", "*", nullptr},        {"extend", "*", nullptr},
    {"insert", "*", nullptr},       {"pop", "*", nullptr},
    {"remove", "*", nullptr},       {"reverse", "*", nullptr},
    {"sort", "*", nullptr},
};

constexpr Builtin kTupleMethods[] = {
    {"count", "/value", CountItem},
    {"index", "/value /start? /stop?", IndexOfItem},
};

constexpr Builtin kIntMethods[] = {
    {"bit_length", "", BitLength},
    {"bit_count", "", BitCount},
    {"conjugate", "", Conjugate},
};

constexpr Builtin kFloatMethods[] = {
    {"is_integer", "", IsIntegral},
    {"conjugate", "", Conjugate},
};

}  // namespace

const BuiltinTable* MethodsOf(const Value& value) {
  static const BuiltinTable strings{StringMethods(), StringSearches(), StringPredicates()};
  static const BuiltinTable markup{MarkupMethods(), StringMethods(), StringSearches(), StringPredicates()};
  static const BuiltinTable dicts{kDictMethods};
  static const BuiltinTable lists{kListMethods};
  static const BuiltinTable tuples{kTupleMethods};
  static const BuiltinTable integers{kIntMethods};
  static const BuiltinTable floats{kFloatMethods};
  switch (value.kind()) {
    case Kind::kString: return value.is_markup() ? &markup : &strings;
    case Kind::kDict: return &dicts;
    case Kind::kList: return &lists;
    case Kind::kTuple: return &tuples;
    case Kind::kBool:
    case Kind::kInt: return &integers;
    case Kind::kFloat: return &floats;
    default: return nullptr;
  }
}

}  // namespace kvasir::jinja
