// What `kvasir inspect` shows, for people and for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "kvasir/inspect.h"

namespace kvasir::cli {

struct InspectDetail {
  bool metadata = false;
  bool tensors = false;
};

[[nodiscard]] std::string SummaryText(const ModelSummary& summary, InspectDetail detail);
/// With metadata and tensors, whatever `detail` says, unless it names one of the two.
[[nodiscard]] nlohmann::ordered_json SummaryJson(const ModelSummary& summary, InspectDetail detail);

[[nodiscard]] std::string CpuText(const CpuReport& cpu, const MachineLimits& limits);
[[nodiscard]] nlohmann::ordered_json CpuJson(const CpuReport& cpu);
[[nodiscard]] nlohmann::ordered_json LimitsJson(const MachineLimits& limits);

}  // namespace kvasir::cli
