#include "jinja/objects.h"

#include <algorithm>

#include "base/check.h"
#include "jinja/access.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

Result<std::optional<Value>> Range::Attribute(Runtime&, std::string_view name) {
  if (name == "start") return Value::Int(start_);
  if (name == "stop") return Value::Int(stop_);
  if (name == "step") return Value::Int(step_);
  return std::nullopt;
}

Result<std::optional<Value>> Range::Item(Runtime&, const Value& key) {
  if (!key.is_integral()) return std::nullopt;
  const int64_t index = key.integer() < 0 ? key.integer() + length_ : key.integer();
  if (index < 0 || index >= length_) return std::nullopt;
  return Value::Int(At(index));
}

Result<IteratorPtr> Range::Iterate(Runtime&) {
  auto next = [start = start_, step = step_, length = length_,
               i = int64_t{0}](Runtime&) mutable -> Result<std::optional<Value>> {
    if (i >= length) return std::nullopt;
    return Value::Int(start + step * i++);
  };
  return std::make_shared<FunctionIterator<decltype(next)>>(next, 1);
}

Status Range::Repr(Runtime&, std::string& out) {
  out +=
      step_ == 1 ? fmt::format("range({}, {})", start_, stop_) : fmt::format("range({}, {}, {})", start_, stop_, step_);
  return {};
}

bool Range::SameItems(const Range& other) const {
  if (length_ != other.length_) return false;
  return length_ == 0 || (start_ == other.start_ && (length_ == 1 || step_ == other.step_));
}

size_t Range::HashOfItems() const {
  size_t hash = static_cast<size_t>(length_);
  if (length_ > 0) hash = hash * 31 + static_cast<size_t>(start_);
  if (length_ > 1) hash = hash * 31 + static_cast<size_t>(step_);
  return hash;
}

std::string_view DictView::type_name() const {
  switch (what_) {
    case What::kKeys: return "dict_keys";
    case What::kValues: return "dict_values";
    case What::kItems: return "dict_items";
  }
  return "dict_items";
}

Value DictView::At(Runtime& runtime, size_t index) const {
  const Dict::Entry& entry = dict_.dict().entries()[index];
  switch (what_) {
    case What::kKeys: return entry.first;
    case What::kValues: return entry.second;
    case What::kItems: break;
  }
  return runtime.MakeTuple({entry.first, entry.second});
}

Result<bool> DictView::ContainsItem(Runtime& runtime, const Value& item) const {
  if (what_ == What::kKeys) {
    KV_ASSIGN(const Value* found, dict_.dict().Find(runtime, item));
    return found != nullptr;
  }
  if (!item.is_tuple() || item.items().size() != 2) return false;
  KV_ASSIGN(const Value* found, dict_.dict().Find(runtime, item.items()[0]));
  if (found == nullptr) return false;
  return Equal(runtime, *found, item.items()[1]);
}

Result<IteratorPtr> DictView::Iterate(Runtime&) {
  // The iterator keeps the dict through its own view.
  auto view = std::make_shared<DictView>(dict_, what_);
  auto next = [view, i = size_t{0}](Runtime& runtime) mutable -> Result<std::optional<Value>> {
    if (i >= view->dict_.dict().size()) return std::nullopt;
    return view->At(runtime, i++);
  };
  return std::make_shared<FunctionIterator<decltype(next)>>(std::move(next), depth() + 1);
}

Status DictView::Repr(Runtime& runtime, std::string& out) {
  out.append(type_name()).append("([");
  for (size_t i = 0; i < dict_.dict().size(); ++i) {
    if (i > 0) out += ", ";
    KV_TRY(AppendRepr(runtime, At(runtime, i), out));
  }
  out += "])";
  return {};
}

Result<std::optional<Value>> Namespace::Attribute(Runtime&, std::string_view name) {
  const Value* value = attributes_->FindText(name);
  return value == nullptr ? std::nullopt : std::optional<Value>(*value);
}

Status Namespace::Set(Runtime& runtime, std::string_view name, Value value) {
  runtime.Charge(name.size() + sizeof(Dict::Entry));
  return attributes_->Insert(runtime, runtime.String(std::string(name)), std::move(value));
}

Status Namespace::Repr(Runtime& runtime, std::string& out) {
  const DepthGuard guard(runtime);
  KV_TRY(guard.Check());
  out += "<Namespace ";
  // The dict itself, and not a copy: Value::Of shares it.
  KV_TRY(AppendRepr(runtime, Value::Of(attributes_), out));
  out += ">";
  return {};
}

namespace {

Result<Value> CyclerNext(Call& call) {
  auto& cycler = *call.self.As<Cycler>();
  Value value = cycler.current();
  cycler.Advance();
  return value;
}

Result<Value> CyclerReset(Call& call) {
  call.self.As<Cycler>()->Reset();
  return Value::None();
}

constexpr Builtin kCyclerNext{"next", "", CyclerNext};
constexpr Builtin kCyclerReset{"reset", "", CyclerReset};

}  // namespace

Result<std::optional<Value>> Cycler::Attribute(Runtime& runtime, std::string_view name) {
  if (name == "current") return current();
  if (name == "items") return items_;
  if (name == "pos") return Value::Int(static_cast<int64_t>(position_));
  // A method must keep its cycler alive, which only a shared pointer to it can do.
  const auto bind = [&](const Builtin& method) {
    return runtime.MakeObject(std::make_shared<BoundBuiltin>(method, Value::Of(shared_from_this())));
  };
  if (name == "next") return bind(kCyclerNext);
  if (name == "reset") return bind(kCyclerReset);
  return std::nullopt;
}

Result<std::optional<Value>> Joiner::Attribute(Runtime&, std::string_view name) {
  if (name == "sep") return separator_;
  if (name == "used") return Value::Bool(used_);
  return std::nullopt;
}

Result<Value> Joiner::Call(Runtime& runtime, Arguments arguments) {
  if (!arguments.positional.empty() || !arguments.keyword.empty()) return Raise("joiner() takes no arguments");
  if (used_) return separator_;
  used_ = true;
  return runtime.String("");
}

Result<Value> BoundBuiltin::Call(Runtime& runtime, Arguments arguments) {
  return Invoke(runtime, builtin_, self_, std::move(arguments));
}

Status BoundBuiltin::Repr(Runtime&, std::string& out) {
  out.append("<built-in ").append(self_.is_missing() ? "function " : "method ").append(builtin_.name).append(">");
  return {};
}

}  // namespace kvasir::jinja
