// Filters over sequences: order, grouping, aggregation.

#include <algorithm>

#include "base/check.h"
#include "jinja/attribute_getter.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/iteration.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/sorting.h"
#include "jinja/text_operations.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

/// An item together with what it is sorted or grouped by.
struct Keyed {
  Value key;
  Value item;
};

Result<Value> First(Call& call) {
  KV_ASSIGN(const IteratorPtr iterator, Iterate(call.runtime, call.self));
  KV_ASSIGN(std::optional<Value> first, iterator->Next(call.runtime));
  return first ? std::move(*first) : Value::Undefined("No first item, sequence was empty.");
}

Result<Value> Last(Call& call) {
  KV_ASSIGN(const IteratorPtr iterator, IterateReversed(call.runtime, call.self));
  if (iterator == nullptr) return Raise("'{}' object is not reversible", call.self.type_name());
  KV_ASSIGN(std::optional<Value> last, iterator->Next(call.runtime));
  return last ? std::move(*last) : Value::Undefined("No last item, sequence was empty.");
}

Result<Value> LengthOf(Call& call) {
  KV_ASSIGN(const size_t length, Length(call.runtime, call.self));
  return Value::Int(static_cast<int64_t>(length));
}

Result<Value> ToList(Call& call) {
  KV_ASSIGN(std::vector<Value> items, Collect(call.runtime, call.self));
  return call.runtime.MakeList(std::move(items));
}

Result<Value> Reverse(Call& call) {
  KV_ASSIGN(const IteratorPtr iterator, IterateReversed(call.runtime, call.self));
  if (call.self.is_string()) {
    KV_ASSIGN(const std::vector<Value> characters,
              Collect(call.runtime, Value::Of(std::static_pointer_cast<Object>(iterator))));
    KV_ASSIGN(std::string text, JoinAsText(call.runtime, "", characters));
    return call.runtime.String(std::move(text), call.self.is_markup());
  }
  if (iterator != nullptr) return call.runtime.MakeObject(iterator);
  if (!IsIterable(call.self)) return Raise("argument must be iterable");
  KV_ASSIGN(std::vector<Value> items, Collect(call.runtime, call.self));
  std::ranges::reverse(items);
  return call.runtime.MakeList(std::move(items));
}

Result<Value> Sort(Call& call) {
  KV_ASSIGN(const int64_t reverse, call.Int(0, 0));
  KV_ASSIGN(const bool case_sensitive, call.Flag(1, false));
  KV_ASSIGN(std::vector<AttributeGetter> getters, AttributeGetter::MakeSeveral(call.runtime, call[2]));
  KV_ASSIGN(std::vector<Value> items, Collect(call.runtime, call.self));
  std::vector<Keyed> keyed;
  keyed.reserve(items.size());
  for (Value& item : items) {
    std::vector<Value> keys;
    for (AttributeGetter& getter : getters) {
      getter.ignore_case = !case_sensitive;
      KV_ASSIGN(Value key, getter.Get(call.runtime, item));
      keys.push_back(std::move(key));
    }
    keyed.push_back({call.runtime.MakeList(std::move(keys)), std::move(item)});
  }
  KV_TRY(SortBy(call.runtime, keyed, &Keyed::key, reverse != 0));
  for (size_t i = 0; i < keyed.size(); ++i) items[i] = std::move(keyed[i].item);
  return call.runtime.MakeList(std::move(items));
}

Result<Value> Unique(Call& call) {
  KV_ASSIGN(const bool case_sensitive, call.Flag(0, false));
  KV_ASSIGN(AttributeGetter getter, AttributeGetter::Make(call.runtime, call[1]));
  getter.ignore_case = !case_sensitive;
  KV_ASSIGN(const IteratorPtr source, Iterate(call.runtime, call.self));
  auto next = [source, getter, seen = std::make_shared<Dict>()](Runtime& runtime) -> Result<std::optional<Value>> {
    while (true) {
      KV_TRY(runtime.Step());
      KV_ASSIGN(std::optional<Value> item, source->Next(runtime));
      if (!item) return item;
      KV_ASSIGN(const Value key, getter.Get(runtime, *item));
      KV_ASSIGN(const Value* known, seen->Find(runtime, key));
      if (known != nullptr) continue;
      runtime.Charge(sizeof(Dict::Entry));
      KV_TRY(seen->Insert(runtime, key, Value::None()));
      return item;
    }
  };
  return MakeGenerator(call.runtime, source->depth(), std::move(next));
}

template <bool greatest>
Result<Value> Extreme(Call& call) {
  KV_ASSIGN(const bool case_sensitive, call.Flag(0, false));
  KV_ASSIGN(AttributeGetter getter, AttributeGetter::Make(call.runtime, call[1]));
  getter.ignore_case = !case_sensitive;
  KV_ASSIGN(const std::vector<Value> items, Collect(call.runtime, call.self));
  if (items.empty()) return Value::Undefined("No aggregated item, sequence was empty.");
  KV_ASSIGN(Value best, getter.Get(call.runtime, items[0]));
  size_t index = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    KV_ASSIGN(Value key, getter.Get(call.runtime, items[i]));
    KV_ASSIGN(const bool better, Compare(call.runtime, greatest ? CompareOp::kGreater : CompareOp::kLess, key, best));
    if (!better) continue;
    best = std::move(key);
    index = i;
  }
  return items[index];
}

Result<Value> Sum(Call& call) {
  KV_ASSIGN(const AttributeGetter getter, AttributeGetter::Make(call.runtime, call[0]));
  Value total = call[1] == nullptr ? Value::Int(0) : *call[1];
  if (total.is_string()) return Raise("sum() can't sum strings [use ''.join(seq) instead]");
  KV_ASSIGN(const std::vector<Value> items, Collect(call.runtime, call.self));
  for (const Value& item : items) {
    KV_ASSIGN(const Value addend, getter.Get(call.runtime, item));
    KV_ASSIGN(total, Calculate(call.runtime, ArithmeticOp::kAdd, total, addend));
  }
  return total;
}

Result<Value> Join(Call& call) {
  std::string separator;
  if (call[0] != nullptr) KV_TRY(AppendStr(call.runtime, *call[0], separator));
  KV_ASSIGN(const AttributeGetter getter, AttributeGetter::Make(call.runtime, call[1]));
  KV_ASSIGN(std::vector<Value> items, Collect(call.runtime, call.self));
  for (Value& item : items) {
    KV_ASSIGN(item, getter.Get(call.runtime, item));
  }
  KV_ASSIGN(std::string text, JoinAsText(call.runtime, separator, items));
  return call.runtime.String(std::move(text));
}

Value GeneratorOver(Runtime& runtime, std::vector<Value> items) {
  const Value list = runtime.MakeList(std::move(items));
  auto next = [list, i = size_t{0}](Runtime&) mutable -> Result<std::optional<Value>> {
    if (i >= list.items().size()) return std::nullopt;
    return list.items()[i++];
  };
  return MakeGenerator(runtime, list.depth(), std::move(next));
}

Result<Value> Batch(Call& call) {
  KV_ASSIGN(const int64_t size, call.Int(0, 0));
  KV_ASSIGN(std::vector<Value> items, Collect(call.runtime, call.self));
  std::vector<Value> batches;
  std::vector<Value> batch;
  for (Value& item : items) {
    if (static_cast<int64_t>(batch.size()) == size) {
      batches.push_back(call.runtime.MakeList(std::exchange(batch, {})));
    }
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    if (call.Has(1) && static_cast<int64_t>(batch.size()) < size) {
      KV_TRY(call.runtime.Reserve(static_cast<size_t>(size), sizeof(Value)));
      batch.resize(static_cast<size_t>(size), *call[1]);
    }
    batches.push_back(call.runtime.MakeList(std::move(batch)));
  }
  return GeneratorOver(call.runtime, std::move(batches));
}

Result<Value> SliceColumns(Call& call) {
  KV_ASSIGN(const int64_t columns, call.Int(0, 0));
  KV_ASSIGN(const std::vector<Value> items, Collect(call.runtime, call.self));
  if (columns == 0) return Raise("integer division or modulo by zero");
  const auto total = static_cast<int64_t>(items.size());
  const int64_t size = columns > 0 ? total / columns : 0;
  const int64_t longer = columns > 0 ? total % columns : 0;
  std::vector<Value> slices;
  int64_t start = 0;
  for (int64_t i = 0; i < columns; ++i) {
    KV_TRY(call.runtime.Step());
    const int64_t end = start + size + (i < longer ? 1 : 0);
    std::vector<Value> slice(items.begin() + start, items.begin() + end);
    if (call.Has(1) && i >= longer) slice.push_back(*call[1]);
    slices.push_back(call.runtime.MakeList(std::move(slice)));
    start = end;
  }
  return GeneratorOver(call.runtime, std::move(slices));
}

Result<Value> GroupBy(Call& call) {
  KV_ASSIGN(const bool case_sensitive, call.Flag(2, false));
  KV_ASSIGN(AttributeGetter getter, AttributeGetter::Make(call.runtime, call[0]));
  if (call.Has(1)) getter.fallback = *call[1];
  AttributeGetter shown = getter;
  getter.ignore_case = !case_sensitive;
  KV_ASSIGN(const std::vector<Value> items, Collect(call.runtime, call.self));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    KV_ASSIGN(Value key, getter.Get(call.runtime, item));
    keyed.push_back({std::move(key), item});
  }
  KV_TRY(SortBy(call.runtime, keyed, &Keyed::key, false));
  std::vector<Value> groups;
  for (size_t start = 0; start < keyed.size();) {
    std::vector<Value> members;
    size_t end = start;
    for (bool same = true; same;) {
      members.push_back(keyed[end].item);
      same = ++end < keyed.size();
      if (same) {
        KV_ASSIGN(same, Equal(call.runtime, keyed[start].key, keyed[end].key));
      }
    }
    KV_ASSIGN(Value name, shown.Get(call.runtime, keyed[start].item));
    auto group = std::make_shared<List>(std::vector<Value>{std::move(name), call.runtime.MakeList(std::move(members))},
                                        true, &call.runtime.meter());
    group->group = true;
    groups.push_back(Value::Of(std::move(group)));
    start = end;
  }
  return call.runtime.MakeList(std::move(groups));
}

Result<Value> DictSort(Call& call) {
  KV_ASSIGN(const bool case_sensitive, call.Flag(0, false));
  KV_ASSIGN(const std::string_view by, call.Text(1, "key"));
  KV_ASSIGN(const bool reverse, call.Flag(2, false));
  if (by != "key" && by != "value") return Raise("You can only sort by either \"key\" or \"value\"");
  if (call.self.is_undefined()) return RaiseUndefined(call.self);
  if (!call.self.is_dict()) return Raise("'{}' object has no attribute 'items'", call.self.type_name());
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : call.self.dict().entries()) {
    Value by_value = by == "key" ? key : value;
    if (!case_sensitive && by_value.is_string()) by_value = call.runtime.String(ToLower(by_value.text()));
    keyed.push_back({std::move(by_value), call.runtime.MakeTuple({key, value})});
  }
  KV_TRY(SortBy(call.runtime, keyed, &Keyed::key, reverse));
  std::vector<Value> pairs;
  pairs.reserve(keyed.size());
  for (Keyed& entry : keyed) pairs.push_back(std::move(entry.item));
  return call.runtime.MakeList(std::move(pairs));
}

Result<Value> Items(Call& call) {
  if (call.self.is_undefined()) return GeneratorOver(call.runtime, {});
  if (!call.self.is_dict()) return Raise("Can only get item pairs from a mapping.");
  std::vector<Value> pairs;
  for (const auto& [key, value] : call.self.dict().entries()) {
    KV_TRY(call.runtime.Step());
    pairs.push_back(call.runtime.MakeTuple({key, value}));
  }
  return GeneratorOver(call.runtime, std::move(pairs));
}

constexpr Builtin kSequenceFilters[] = {
    {"first", "", First},
    {"last", "", Last},
    {"length", "", LengthOf},
    {"count", "", LengthOf},
    {"list", "", ToList},
    {"reverse", "", Reverse},
    {"sort", "reverse? case_sensitive? attribute?", Sort},
    {"unique", "case_sensitive? attribute?", Unique},
    {"min", "case_sensitive? attribute?", Extreme<false>},
    {"max", "case_sensitive? attribute?", Extreme<true>},
    {"sum", "attribute? start?", Sum},
    {"join", "d? attribute?", Join},
    {"batch", "linecount fill_with?", Batch},
    {"slice", "slices fill_with?", SliceColumns},
    {"groupby", "attribute default? case_sensitive?", GroupBy},
    {"dictsort", "case_sensitive? by? reverse?", DictSort},
    {"items", "", Items},
};

}  // namespace

std::span<const Builtin> SequenceFilters() {
  return kSequenceFilters;
}

}  // namespace kvasir::jinja
