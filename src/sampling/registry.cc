#include "sampling/registry.h"

#include <algorithm>
#include <array>

namespace kvasir::sampling {
namespace {

// The default order, llama.cpp's: first what edits single tokens, then what removes the tail, the cheap top_k
// ahead; the temperature last, so that the tail is judged by the model's own probabilities.
constexpr std::array kStages = {&kLogitBiasStage, &kPenaltiesStage, &kDryStage,  &kTopNSigmaStage, &kTopKStage,
                                &kTypicalPStage,  &kTopPStage,      &kMinPStage, &kXtcStage,       &kTemperatureStage};

}  // namespace

std::span<const StageInfo* const> AllStages() {
  return kStages;
}

const StageInfo* FindStage(std::string_view name) {
  const auto found = std::ranges::find(kStages, name, &StageInfo::name);
  return found == kStages.end() ? nullptr : *found;
}

std::string StageNames() {
  std::string names;
  for (const StageInfo* stage : kStages) {
    if (!names.empty()) names += ", ";
    names += stage->name;
  }
  return names;
}

}  // namespace kvasir::sampling
