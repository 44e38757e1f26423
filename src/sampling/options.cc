// The functions of include/kvasir/sampling.h: the order of the stages and the check of all options.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "kvasir/sampling.h"
#include "sampling/range.h"
#include "sampling/registry.h"

namespace kvasir {
namespace {

using sampling::CheckCount;
using sampling::CheckRange;

Status ValidateOrder(const std::vector<std::string>& order) {
  for (auto name = order.begin(); name != order.end(); ++name) {
    if (sampling::FindStage(*name) == nullptr) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("order names \"{}\", which is not a sampling stage; the stages are {}", *name,
                              sampling::StageNames()));
    }
    if (std::find(order.begin(), name, *name) != name) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("order names {} twice, but a stage can run only once; remove one of them", *name));
    }
  }
  return {};
}

/// The canonical name for what a user may have written; `name` itself if it is unknown.
std::string Canonical(std::string name) {
  std::ranges::replace(name, '-', '_');
  for (const sampling::StageInfo* stage : sampling::AllStages()) {
    if (!stage->alias.empty() && stage->alias == name) return std::string(stage->name);
  }
  return name;
}

}  // namespace

std::vector<std::string> DefaultSamplingOrder() {
  std::vector<std::string> order;
  for (const sampling::StageInfo* stage : sampling::AllStages()) {
    order.emplace_back(stage->name);
  }
  return order;
}

Result<std::vector<std::string>> ParseSamplingOrder(std::string_view text) {
  constexpr std::string_view kSeparators = ";, \t\r\n";
  std::vector<std::string> order;
  size_t begin = text.find_first_not_of(kSeparators);
  while (begin != std::string_view::npos) {
    const size_t end = std::min(text.find_first_of(kSeparators, begin), text.size());
    order.push_back(Canonical(std::string(text.substr(begin, end - begin))));
    begin = text.find_first_not_of(kSeparators, end);
  }
  KV_TRY(ValidateOrder(order));
  return order;
}

std::string FormatSamplingOrder(const std::vector<std::string>& order) {
  return fmt::format("{}", fmt::join(order, ";"));
}

Status Validate(const SamplingOptions& options, int vocab_size) {
  KV_TRY(CheckCount("vocab_size", vocab_size, 0, std::numeric_limits<int32_t>::max()));
  for (const sampling::StageInfo* stage : sampling::AllStages()) {
    KV_TRY(stage->validate(options, vocab_size));
  }
  if (options.mirostat != 0 && options.mirostat != 2) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("mirostat is {}, but it must be 0 (off) or 2 (version 2)", options.mirostat));
  }
  KV_TRY(CheckRange("mirostat_tau", options.mirostat_tau, 0, 100));
  KV_TRY(CheckRange("mirostat_eta", options.mirostat_eta, 0, 1));
  KV_TRY(CheckCount("n_probs", options.n_probs, 0, vocab_size > 0 ? vocab_size : std::numeric_limits<int32_t>::max()));
  return ValidateOrder(options.order);
}

}  // namespace kvasir
