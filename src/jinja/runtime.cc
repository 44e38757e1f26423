#include "jinja/runtime.h"

#include <fmt/format.h>

#include "base/check.h"
#include "jinja/dict.h"

namespace kvasir::jinja {

namespace {

/// What an object costs besides its payload: the control block and the object's own members.
constexpr size_t kObjectBytes = 64;

}  // namespace

Runtime::~Runtime() {
  for (auto& [object, clear] : cyclic_) clear(*object);
}

Status Runtime::Exhausted() const {
  if (too_deep_) {
    return Fail(ErrorCode::kResourceExhausted, fmt::format("a value nests deeper than {} levels", kMaxValueDepth));
  }
  const RenderLimits& limits = options_.limits;
  if (meter_.live_bytes > limits.max_live_bytes) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("the values of the template take more than {} bytes (max_live_bytes)", limits.max_live_bytes));
  }
  if (meter_.total_bytes > limits.max_total_bytes) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("the template made values of more than {} bytes (max_total_bytes)", limits.max_total_bytes));
  }
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("the template did not end within {} steps (max_steps)", limits.max_steps));
}

Status Runtime::Reserve(size_t bytes) {
  if (bytes > options_.limits.max_value_bytes) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("a value of {} bytes is beyond the limit of {} (max_value_bytes)", bytes,
                            options_.limits.max_value_bytes));
  }
  return Step();
}

Status Runtime::Reserve(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  return Reserve(bytes);
}

Value Runtime::String(std::string text, bool markup) {
  return Value::Of(std::make_shared<Text>(std::move(text), markup, &meter_));
}

Value Runtime::MakeList(std::vector<Value> items) {
  Value value = Value::Of(std::make_shared<List>(std::move(items), false, &meter_));
  NoteDepth(value);
  return value;
}

Value Runtime::MakeTuple(std::vector<Value> items) {
  Value value = Value::Of(std::make_shared<List>(std::move(items), true, &meter_));
  NoteDepth(value);
  return value;
}

Value Runtime::MakeObject(std::shared_ptr<Object> object) {
  Charge(kObjectBytes);
  Value value = Value::Of(std::move(object));
  NoteDepth(value);
  return value;
}

Value Runtime::MakeDict(std::shared_ptr<Dict> dict) {
  dict->HoldMemory(meter_);
  Value value = Value::Of(std::move(dict));
  NoteDepth(value);
  return value;
}

Status DepthGuard::Check() const {
  if (runtime_.depth <= kMaxDepth) return {};
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("the template calls itself, or nests, deeper than {} levels", kMaxDepth));
}

}  // namespace kvasir::jinja
