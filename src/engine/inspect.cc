#include "kvasir/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/sysinfo.h>

#include <cstdlib>
#include <fstream>

#include "base/check.h"
#include "base/thread_pool.h"
#include "engine/cache_size.h"
#include "engine/engine_impl.h"
#include "engine/inspect_encoder.h"
#include "engine/inspect_tensors.h"
#include "engine/kv_plan.h"
#include "engine/memory_plan.h"
#include "kernels/kernels.h"
#include "kvasir/embedding.h"
#include "model/model.h"

namespace kvasir {
namespace {

constexpr kernels::Isa kIsas[] = {kernels::Isa::kRef, kernels::Isa::kAvx2, kernels::Isa::kAvx512, kernels::Isa::kVnni};

std::vector<std::string> SupportedIsas() {
  std::vector<std::string> names;
  for (const kernels::Isa isa : kIsas) {
    if (kernels::IsaSupported(isa)) names.emplace_back(kernels::IsaName(isa));
  }
  return names;
}

// general.file_type as GGUF files number it; it is only a label.
std::string FileTypeName(const files::GgufFile& gguf) {
  const auto type = gguf.metadata().GetU32("general.file_type", 9999);
  switch (type.value_or(9999)) {
    case 0: return "F32";
    case 1: return "F16";
    case 2: return "Q4_0";
    case 3: return "Q4_1";
    case 7: return "Q8_0";
    case 8: return "Q5_0";
    case 9: return "Q5_1";
    case 10: return "Q2_K";
    case 11: return "Q3_K_S";
    case 12: return "Q3_K_M";
    case 13: return "Q3_K_L";
    case 14: return "Q4_K_S";
    case 15: return "Q4_K_M";
    case 16: return "Q5_K_S";
    case 17: return "Q5_K_M";
    case 18: return "Q6_K";
    case 25: return "IQ4_NL";
    case 30: return "IQ4_XS";
    case 32: return "BF16";
    case 38: return "MXFP4";
    default: return "mixed";
  }
}

// The cache that was asked for beside the two that everybody knows.
std::vector<KvSpec> CachesToCompare(const KvSpec& asked) {
  std::vector<KvSpec> caches = {asked};
  for (const char* known : {"f16", "q8"}) {
    const KvSpec spec{.open = known};
    if (spec != asked) caches.push_back(spec);
  }
  return caches;
}

std::string FirstLineWith(const char* path, std::string_view label) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, label.size(), label) != 0) continue;
    const size_t value = line.find_first_not_of(" \t:", label.size());
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

}  // namespace

Result<ModelSummary> InspectModel(const EngineOptions& given) {
  EngineOptions options = given;
  KV_ASSIGN(options.model, ResolveModel(given.model));
  if (IsEncoder(options.model)) return InspectEncoder(options.model);
  options.kv = ResolveKvSpec(options.kv, options.compute);
  KV_ASSIGN(const files::GgufFile gguf, files::GgufFile::Open(options.model));
  ModelSummary summary;
  summary.file_type = FileTypeName(gguf);
  summary.has_chat_template = gguf.metadata().Has("tokenizer.chat_template");
  for (const files::GgufMetadata::Entry& entry : gguf.metadata().entries()) {
    std::string type(files::GgufTypeName(entry.value.type));
    if (entry.value.is_array()) {
      type = fmt::format("{}[{}]", files::GgufTypeName(entry.value.element_type), entry.value.count);
    }
    summary.metadata.push_back({files::Printable(entry.key), std::move(type), files::FormatValue(entry.value)});
  }
  AddTensors(gguf.tensors(), summary);
  const auto config = model::ReadConfig(gguf, options.context_tokens);
  if (!config) {
    // A vocabulary, or a model Kvasir cannot run: its metadata and tensors are still worth seeing.
    summary.info.path = options.model;
    summary.info.file_bytes = gguf.total_bytes();
    summary.info.architecture = std::string(gguf.metadata().GetString("general.architecture", "").value_or(""));
    summary.info.name = std::string(gguf.metadata().GetString("general.name", "").value_or(""));
    summary.cannot_run = config.error().message;
    return summary;
  }
  summary.info = InfoOf(gguf, *config, options.model);
  if (auto caches = CacheSizesOf(gguf, *config, options, CachesToCompare(given.kv.compact() ? given.kv : options.kv))) {
    summary.caches = *std::move(caches);
  }
  summary.plan.available_bytes = AvailableMemoryBytes();
  const auto memory = PlanMemory(gguf, *config, options);
  if (!memory) {
    summary.cannot_run = memory.error().message;
    return summary;
  }
  summary.plan = {.context_tokens = memory->context_tokens,
                  .weight_bytes = memory->weight_bytes,
                  .kv_bytes = memory->kv_context_bytes,
                  .kv_bytes_per_token = memory->kv_bytes_per_token,
                  .activation_bytes = memory->activation_bytes,
                  .total_bytes = memory->weight_bytes + memory->kv_context_bytes + memory->activation_bytes,
                  .available_bytes = memory->available_bytes};
  return summary;
}

Status CheckIsaChoice() {
  const char* name = std::getenv("KVASIR_ISA");
  kernels::Isa isa{};
  if (name == nullptr || *name == '\0') return {};
  if (kernels::IsaFromName(name, &isa) && kernels::IsaSupported(isa)) return {};
  std::vector<std::string_view> known;
  for (const kernels::Isa each : kIsas) known.emplace_back(kernels::IsaName(each));
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("KVASIR_ISA is '{}', but it must be unset or name kernels that this machine can run: {} "
                          "(there are {})",
                          name, fmt::join(SupportedIsas(), ", "), fmt::join(known, ", ")));
}

CpuReport InspectCpu() {
  CpuReport report;
  report.model_name = FirstLineWith("/proc/cpuinfo", "model name");
  report.cpus = base::AvailableCpus();
  report.supported_isa = SupportedIsas();
  report.chosen_isa = kernels::IsaName(kernels::ChosenIsa());
  struct sysinfo info{};
  if (sysinfo(&info) == 0) report.total_memory_bytes = info.totalram * size_t{info.mem_unit};
  report.available_memory_bytes = AvailableMemoryBytes();
  std::ifstream huge("/sys/kernel/mm/transparent_hugepage/enabled");
  std::getline(huge, report.transparent_huge_pages);
  return report;
}

}  // namespace kvasir
