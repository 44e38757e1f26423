#include "jinja/iteration.h"

#include <algorithm>

#include "base/check.h"
#include "jinja/dict.h"
#include "jinja/raise.h"
#include "jinja/unicode.h"

namespace kvasir::jinja {

namespace {

class EmptyIterator final : public Iterator {
 public:
  Result<std::optional<Value>> Next(Runtime&) override { return std::nullopt; }
};

class ItemsIterator final : public Iterator {
 public:
  ItemsIterator(Value sequence, bool reversed)
      : Iterator(sequence.depth() + 1), sequence_(std::move(sequence)), reversed_(reversed) {}
  std::string_view type_name() const override { return reversed_ ? "list_reverseiterator" : "list_iterator"; }

  Result<std::optional<Value>> Next(Runtime&) override {
    const auto& items = sequence_.items();
    if (position_ >= items.size()) return std::nullopt;
    const size_t index = position_++;
    return items[reversed_ ? items.size() - 1 - index : index];
  }

 private:
  Value sequence_;
  bool reversed_;
  size_t position_ = 0;
};

class KeysIterator final : public Iterator {
 public:
  KeysIterator(Value dict, bool reversed) : Iterator(dict.depth() + 1), dict_(std::move(dict)), reversed_(reversed) {}
  std::string_view type_name() const override { return reversed_ ? "dict_reversekeyiterator" : "dict_keyiterator"; }

  Result<std::optional<Value>> Next(Runtime&) override {
    const auto& entries = dict_.dict().entries();
    if (position_ >= entries.size()) return std::nullopt;
    const size_t index = position_++;
    return entries[reversed_ ? entries.size() - 1 - index : index].first;
  }

 private:
  Value dict_;
  bool reversed_;
  size_t position_ = 0;
};

class CharactersIterator final : public Iterator {
 public:
  explicit CharactersIterator(Value text) : text_(std::move(text)) {}
  std::string_view type_name() const override { return "str_iterator"; }

  Result<std::optional<Value>> Next(Runtime& runtime) override {
    const std::string& text = text_.text();
    if (position_ >= text.size()) return std::nullopt;
    const size_t bytes = DecodeAt(text, position_).bytes;
    position_ += bytes;
    return runtime.String(text.substr(position_ - bytes, bytes));
  }

 private:
  Value text_;
  size_t position_ = 0;
};

}  // namespace

Result<IteratorPtr> Iterate(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return std::make_shared<EmptyIterator>();
    case Kind::kString: return std::make_shared<CharactersIterator>(value);
    case Kind::kList:
    case Kind::kTuple: return std::make_shared<ItemsIterator>(value, false);
    case Kind::kDict: return std::make_shared<KeysIterator>(value, false);
    case Kind::kObject: {
      if (auto iterator = std::dynamic_pointer_cast<Iterator>(value.shared())) return iterator;
      KV_ASSIGN(IteratorPtr iterator, value.object()->Iterate(runtime));
      if (iterator != nullptr) return iterator;
      break;
    }
    default: break;
  }
  return Raise("'{}' object is not iterable", value.type_name());
}

Result<IteratorPtr> IterateReversed(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return std::make_shared<EmptyIterator>();
    case Kind::kList:
    case Kind::kTuple: return std::make_shared<ItemsIterator>(value, true);
    case Kind::kDict: return std::make_shared<KeysIterator>(value, true);
    case Kind::kString: {
      KV_ASSIGN(std::vector<Value> characters, Collect(runtime, value));
      return std::make_shared<ItemsIterator>(runtime.MakeList(std::move(characters)), true);
    }
    case Kind::kObject: {
      KV_ASSIGN(const std::optional<size_t> length, value.object()->Length(runtime));
      if (!length || value.As<Iterator>() != nullptr) return IteratorPtr();
      KV_ASSIGN(std::vector<Value> items, Collect(runtime, value));
      return std::make_shared<ItemsIterator>(runtime.MakeList(std::move(items)), true);
    }
    default: return IteratorPtr();
  }
}

Result<std::vector<Value>> Collect(Runtime& runtime, const Value& value) {
  if (value.is_sequence()) {
    KV_TRY(runtime.Step(1 + value.items().size() / 16));
    return value.items();
  }
  KV_ASSIGN(const IteratorPtr iterator, Iterate(runtime, value));
  std::vector<Value> items;
  while (true) {
    KV_TRY(runtime.Step());
    KV_ASSIGN(std::optional<Value> next, iterator->Next(runtime));
    if (!next) return items;
    runtime.Charge(sizeof(Value));
    items.push_back(std::move(*next));
  }
}

bool IsIterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict: return true;
    case Kind::kObject: return value.object()->iterable();
    default: return false;
  }
}

}  // namespace kvasir::jinja
