#include "jinja/loop_context.h"

#include "base/check.h"
#include "jinja/objects.h"
#include "jinja/operators.h"
#include "jinja/raise.h"

namespace kvasir::jinja {

namespace {

Result<Value> LoopCycle(Call& call) {
  return call.self.As<LoopContext>()->Cycle(call.arguments);
}

Result<Value> LoopChanged(Call& call) {
  return call.self.As<LoopContext>()->Changed(call.runtime, std::move(call.arguments));
}

constexpr Builtin kCycle{"cycle", "*", LoopCycle};
constexpr Builtin kChanged{"changed", "*", LoopChanged};

}  // namespace

Result<std::optional<size_t>> LoopContext::Length(Runtime& runtime) {
  if (length_) return static_cast<size_t>(*length_);
  if (!iterable_.is_missing()) {
    auto length = jinja::Length(runtime, iterable_);
    if (length) {
      length_ = static_cast<int64_t>(*length);
      return *length;
    }
    if (length.error().code != ErrorCode::kInvalidArgument) return std::unexpected(std::move(length).error());
  }
  const Value rest = Value::Of(std::static_pointer_cast<Object>(iterator_));
  KV_ASSIGN(std::vector<Value> items, Collect(runtime, rest));
  length_ = static_cast<int64_t>(items.size()) + index0_ + 1 + (after_ ? 1 : 0);
  KV_ASSIGN(iterator_, jinja::Iterate(runtime, runtime.MakeList(std::move(items))));
  return static_cast<size_t>(*length_);
}

Status LoopContext::Peek(Runtime& runtime) {
  if (after_) return {};
  KV_ASSIGN(after_, iterator_->Next(runtime));
  return {};
}

Result<std::optional<Value>> LoopContext::Next(Runtime& runtime) {
  KV_TRY(Peek(runtime));
  if (!after_) return std::nullopt;
  ++index0_;
  before_ = std::move(current_);
  current_ = std::move(*after_);
  after_.reset();
  return current_;
}

Result<std::optional<Value>> LoopContext::Attribute(Runtime& runtime, std::string_view name) {
  if (name == "index") return Value::Int(index0_ + 1);
  if (name == "index0") return Value::Int(index0_);
  if (name == "first") return Value::Bool(index0_ == 0);
  if (name == "depth") return Value::Int(depth0_ + 1);
  if (name == "depth0") return Value::Int(depth0_);
  if (name == "last") {
    KV_TRY(Peek(runtime));
    return Value::Bool(!after_.has_value());
  }
  if (name == "previtem") {
    return index0_ == 0 ? Value::Undefined("there is no previous item") : before_;
  }
  if (name == "nextitem") {
    KV_TRY(Peek(runtime));
    return after_ ? *after_ : Value::Undefined("there is no next item");
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    KV_ASSIGN(const std::optional<size_t> length, Length(runtime));
    const auto total = static_cast<int64_t>(*length);
    return Value::Int(name == "length" ? total : name == "revindex" ? total - index0_ : total - index0_ - 1);
  }
  const auto bind = [&](const Builtin& method) {
    return runtime.MakeObject(std::make_shared<BoundBuiltin>(method, Value::Of(shared_from_this())));
  };
  if (name == "cycle") return bind(kCycle);
  if (name == "changed") return bind(kChanged);
  return std::nullopt;
}

Result<Value> LoopContext::Cycle(const Arguments& arguments) const {
  if (arguments.positional.empty()) return Raise("no items for cycling given");
  if (!arguments.keyword.empty()) return Raise("cycle() takes no keyword arguments");
  return arguments.positional[static_cast<size_t>(index0_) % arguments.positional.size()];
}

Result<Value> LoopContext::Changed(Runtime& runtime, Arguments arguments) {
  if (!arguments.keyword.empty()) return Raise("changed() takes no keyword arguments");
  const Value values = runtime.MakeTuple(std::move(arguments.positional));
  if (!last_changed_.is_missing()) {
    KV_ASSIGN(const bool same, Equal(runtime, last_changed_, values));
    if (same) return Value::Bool(false);
  }
  last_changed_ = values;
  return Value::Bool(true);
}

Result<Value> LoopContext::Call(Runtime& runtime, Arguments arguments) {
  if (loop_ == nullptr || !loop_->recursive) {
    return Raise("The loop must have the 'recursive' marker to be called recursively.");
  }
  if (arguments.positional.size() != 1 || !arguments.keyword.empty()) return Raise("loop() takes one argument");
  std::string out;
  KV_TRY(interpreter_.RunLoop(*loop_, outer_, arguments.positional[0], depth0_ + 1, out));
  return runtime.String(std::move(out));
}

Status LoopContext::Repr(Runtime& runtime, std::string& out) {
  KV_ASSIGN(const std::optional<size_t> length, Length(runtime));
  out += fmt::format("<LoopContext {}/{}>", index0_ + 1, *length);
  return {};
}

void LoopContext::Finish() {
  class Nothing final : public Iterator {
    Result<std::optional<Value>> Next(Runtime&) override { return std::nullopt; }
  };
  loop_ = nullptr;
  outer_ = nullptr;
  iterable_ = Value();
  iterator_ = std::make_shared<Nothing>();
  after_.reset();
  current_ = before_ = last_changed_ = Value();
}

}  // namespace kvasir::jinja
