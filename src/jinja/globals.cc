// The functions every template can call.

#include <ctime>

#include "base/check.h"
#include "jinja/builtins.h"
#include "jinja/dict.h"
#include "jinja/iteration.h"
#include "jinja/objects.h"
#include "jinja/python_text.h"
#include "jinja/raise.h"
#include "jinja/strftime.h"

namespace kvasir::jinja {

namespace {

Result<Value> MakeRange(Call& call) {
  KV_ASSIGN(const int64_t first, call.Int(0, 0));
  KV_ASSIGN(const int64_t second, call.Int(1, 0));
  KV_ASSIGN(const int64_t step, call.Int(2, 1));
  const int64_t start = call[1] == nullptr ? 0 : first;
  const int64_t stop = call[1] == nullptr ? first : second;
  if (step == 0) return Raise("range() arg 3 must not be zero");
  // In 128 bits no difference of two integers overflows.
  const __int128 distance = step > 0 ? static_cast<__int128>(stop) - start : static_cast<__int128>(start) - stop;
  const __int128 stride = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  const __int128 length = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  if (length > Range::kMaxLength) {
    return Raise("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", Range::kMaxLength);
  }
  return call.runtime.MakeObject(std::make_shared<Range>(start, stop, step, static_cast<int64_t>(length)));
}

/// Adds the pairs of a mapping or of an iterable of pairs.
Status Update(Runtime& runtime, Dict& dict, const Value& source) {
  if (source.is_dict()) {
    for (const auto& [key, value] : source.dict().entries()) KV_TRY(dict.Insert(runtime, key, value));
    return {};
  }
  KV_ASSIGN(const std::vector<Value> pairs, Collect(runtime, source));
  for (const Value& pair : pairs) {
    KV_ASSIGN(const std::vector<Value> parts, Collect(runtime, pair));
    if (parts.size() != 2) {
      return Raise("dictionary update sequence element has length {}; 2 is required", parts.size());
    }
    KV_TRY(dict.Insert(runtime, parts[0], parts[1]));
  }
  return {};
}

/// What dict(...) makes of its arguments, for dict and namespace alike.
Result<std::shared_ptr<Dict>> DictOfArguments(Call& call) {
  if (call.arguments.positional.size() > 1) {
    return Raise("dict expected at most 1 argument, got {}", call.arguments.positional.size());
  }
  auto dict = std::make_shared<Dict>();
  for (const Value& source : call.arguments.positional) KV_TRY(Update(call.runtime, *dict, source));
  for (const auto& [key, value] : call.arguments.keyword) {
    KV_TRY(dict->Insert(call.runtime, call.runtime.String(key), value));
  }
  return dict;
}

Result<Value> MakeDictionary(Call& call) {
  KV_ASSIGN(std::shared_ptr<Dict> dict, DictOfArguments(call));
  return call.runtime.MakeDict(std::move(dict));
}

Result<Value> MakeNamespace(Call& call) {
  KV_ASSIGN(const std::shared_ptr<Dict> attributes, DictOfArguments(call));
  auto result = std::make_shared<Namespace>();
  call.runtime.CutAtEnd(result);
  for (const auto& [key, value] : attributes->entries()) {
    if (!key.is_string()) return Raise("attribute name must be string, not '{}'", key.type_name());
    KV_TRY(result->Set(call.runtime, key.text(), value));
  }
  return call.runtime.MakeObject(std::move(result));
}

Result<Value> MakeCycler(Call& call) {
  if (call.arguments.positional.empty()) return Raise("at least one item has to be provided");
  if (!call.arguments.keyword.empty()) return Raise("cycler() takes no keyword arguments");
  const Value items = call.runtime.MakeTuple(std::move(call.arguments.positional));
  return call.runtime.MakeObject(std::make_shared<Cycler>(items));
}

Result<Value> MakeJoiner(Call& call) {
  return call.runtime.MakeObject(std::make_shared<Joiner>(call[0] == nullptr ? call.runtime.String(", ") : *call[0]));
}

Result<Value> RaiseException(Call& call) {
  KV_ASSIGN(const std::string message, ToStr(call.runtime, *call[0]));
  return Raise("{}", message);
}

CivilTime LocalNow() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return {local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec};
}

Result<Value> StrftimeNow(Call& call) {
  KV_ASSIGN(const std::string_view format, call.Text(0));
  const CivilTime now = call.runtime.options().now ? *call.runtime.options().now : LocalNow();
  KV_TRY(call.runtime.Reserve(format.size(), kMaxStrftimeGrowth));
  return call.runtime.String(Strftime(now, format));
}

Result<Value> Lipsum(Call&) {
  return Fail(ErrorCode::kUnsupported, "lipsum() is not supported: its text is random");
}

constexpr Builtin kGlobals[] = {
    {"range", "/start /stop? /step?", MakeRange},
    {"dict", "*", MakeDictionary},
    {"namespace", "*", MakeNamespace},
    {"cycler", "*", MakeCycler},
    {"joiner", "sep?", MakeJoiner},
    {"raise_exception", "message", RaiseException},
    {"strftime_now", "format", StrftimeNow},
    {"lipsum", "*", Lipsum},
};

}  // namespace

const BuiltinTable& Globals() {
  static const BuiltinTable table{kGlobals};
  return table;
}

}  // namespace kvasir::jinja
