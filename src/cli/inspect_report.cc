#include "cli/inspect_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/calibration_note.h"
#include "cli/figures.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Row(std::string_view label, std::string_view value) {
  return fmt::format("  {:<13} {}\n", label, value);
}

// What of the memory the plan takes, and what to do when there is not enough.
std::string PlanText(const ModelSummary& summary) {
  const MemoryPlan& plan = summary.plan;
  std::string text = fmt::format("\nMemory for {} tokens of context:\n", plan.context_tokens);
  text += Row("weights", FormatBytes(plan.weight_bytes));
  text += Row("KV cache",
              fmt::format("{} ({} per token)", FormatBytes(plan.kv_bytes), FormatBytes(plan.kv_bytes_per_token)));
  text += Row("activations", FormatBytes(plan.activation_bytes));
  text += Row("total",
              fmt::format("{} of {} available now", FormatBytes(plan.total_bytes), FormatBytes(plan.available_bytes)));
  if (plan.total_bytes > plan.available_bytes) {
    text += "\nThis does not fit the memory that is available now. A shorter context (-c) or --kv q8 takes less.\n";
  }
  return text;
}

// What is left of a prompt that fills the context, and what it takes until then.
std::string EvictionText(const CacheSize& cache) {
  const std::string record = cache.record_bytes == 0
                                 ? ""
                                 : fmt::format(", {} of them what the policy records", FormatBytes(cache.record_bytes));
  return fmt::format(
      "\n{} keeps {} tokens per layer and head of a prompt that fills the context:\n"
      "{} of {}, {:.2f} bits per element of what is kept. While the prompt is computed {} have to be free{}.\n",
      KvSpecText(cache.kv), cache.kept_tokens, FormatBytes(cache.bytes), FormatBytes(cache.whole_bytes),
      cache.kept_bits_per_element, FormatBytes(cache.peak_bytes), record);
}

std::string MissingText(const CacheSize& cache, const std::string& model) {
  const std::string note = MissingCalibration(model, {&cache.kv, 1});
  return note.empty() ? "" : fmt::format("\n{}\n", note);
}

// How far each cache reaches.
std::string CachesText(const ModelSummary& summary) {
  std::string text = "\nContext in 1 GiB of cache:\n";
  size_t width = 11;
  for (const CacheSize& cache : summary.caches) width = std::max(width, KvSpecText(cache.kv).size());
  for (const CacheSize& cache : summary.caches) {
    text += fmt::format("  {:<{}}  {:>9} tokens  {:>5.2f} bits per element\n", KvSpecText(cache.kv), width,
                        cache.tokens_per_gib, cache.bits_per_element);
  }
  for (const CacheSize& cache : summary.caches) {
    if (cache.kv.evicts()) text += EvictionText(cache);
    if (cache.lacks_calibration) text += MissingText(cache, summary.info.path);
  }
  return text;
}

std::string MetadataText(const ModelSummary& summary) {
  size_t width = 0;
  for (const MetadataEntry& entry : summary.metadata) width = std::max(width, entry.key.size());
  std::string text = fmt::format("\nMetadata ({} entries):\n", summary.metadata.size());
  for (const MetadataEntry& entry : summary.metadata) {
    text += fmt::format("  {:<{}}  {:<12}  {}\n", entry.key, width, entry.type, entry.value);
  }
  return text;
}

std::string TensorText(const ModelSummary& summary) {
  size_t width = 0;
  for (const TensorEntry& tensor : summary.tensors) width = std::max(width, tensor.name.size());
  std::string text = fmt::format("\nTensors ({}):\n", summary.tensors.size());
  for (const TensorEntry& tensor : summary.tensors) {
    text += fmt::format("  {:<{}}  {:<7} {:>10}  {}\n", tensor.name, width, tensor.type, FormatBytes(tensor.bytes),
                        fmt::join(tensor.shape, " x "));
  }
  return text;
}

Json PlanJson(const ModelSummary& summary) {
  const MemoryPlan& plan = summary.plan;
  return {{"context_tokens", plan.context_tokens},
          {"weight_bytes", plan.weight_bytes},
          {"kv_bytes", plan.kv_bytes},
          {"kv_bytes_per_token", plan.kv_bytes_per_token},
          {"activation_bytes", plan.activation_bytes},
          {"total_bytes", plan.total_bytes},
          {"available_bytes", plan.available_bytes},
          {"fits", summary.cannot_run.empty() && plan.total_bytes <= plan.available_bytes}};
}

}  // namespace

std::string SummaryText(const ModelSummary& summary, InspectDetail detail) {
  const ModelInfo& info = summary.info;
  std::string text = fmt::format("{}\n", Escape(info.name.empty() ? info.path : info.name));
  text += Row("file", fmt::format("{} ({})", info.path, FormatBytes(info.file_bytes)));
  text += Row("architecture", info.architecture.empty() ? "not named" : Escape(info.architecture));
  if (!summary.tensors.empty()) {
    text += Row("parameters", fmt::format("{}, stored as {} in {} tensors", FormatParameters(summary.parameters),
                                          summary.file_type, summary.tensors.size()));
  }
  if (info.layers > 0) {
    text += Row("layers", fmt::format("{} of width {}", info.layers, info.embedding));
    text += Row("attention",
                fmt::format("{} heads of {}, {} for keys and values", info.heads, info.head_dim, info.kv_heads));
    text += Row("vocabulary", fmt::format("{} tokens", info.vocabulary));
    text += Row("context", fmt::format("{} tokens in training", info.trained_context));
  }
  if (const auto& encoder = summary.encoder) {
    text += Row("pooling", fmt::format("{}{}", encoder->pooling, encoder->normalised ? ", then to length 1" : ""));
    text += Row("longest text", fmt::format("{} tokens", encoder->max_tokens));
    text += "\nThis is an encoder: it makes vectors of texts (kvasir embed, kvasir serve) and cannot write any.\n";
  } else {
    text += Row("chat template", summary.has_chat_template ? "yes" : "no");
  }
  if (summary.cannot_run.empty() && !summary.encoder) text += PlanText(summary);
  if (!summary.cannot_run.empty()) {
    text += fmt::format("\nThis cannot be run: {}\n", summary.cannot_run);
  }
  if (!summary.caches.empty()) text += CachesText(summary);
  if (detail.metadata) text += MetadataText(summary);
  if (detail.tensors) text += TensorText(summary);
  return Harmless(text);
}

Json SummaryJson(const ModelSummary& summary, InspectDetail detail) {
  const ModelInfo& info = summary.info;
  const bool both = detail.metadata == detail.tensors;
  Json json = {{"path", info.path},
               {"name", info.name},
               {"architecture", info.architecture},
               {"file_type", summary.file_type},
               {"file_bytes", info.file_bytes},
               {"parameters", summary.parameters},
               {"layers", info.layers},
               {"heads", info.heads},
               {"kv_heads", info.kv_heads},
               {"head_dim", info.head_dim},
               {"embedding", info.embedding},
               {"vocabulary", info.vocabulary},
               {"trained_context", info.trained_context},
               {"has_chat_template", summary.has_chat_template},
               {"cannot_run", summary.cannot_run.empty() ? Json(nullptr) : Json(summary.cannot_run)}};
  json["encoder"] = nullptr;
  json["plan"] = nullptr;
  if (const auto& encoder = summary.encoder) {
    json["encoder"] = {
        {"pooling", encoder->pooling}, {"normalised", encoder->normalised}, {"max_tokens", encoder->max_tokens}};
  } else {
    json["plan"] = PlanJson(summary);
  }
  json["caches"] = Json::array();
  for (const CacheSize& cache : summary.caches) {
    json["caches"].push_back({{"kv", KvSpecText(cache.kv)},
                              {"bits_per_element", cache.bits_per_element},
                              {"kept_bits_per_element", cache.kept_bits_per_element},
                              {"bytes", cache.bytes},
                              {"whole_bytes", cache.whole_bytes},
                              {"peak_bytes", cache.peak_bytes},
                              {"record_bytes", cache.record_bytes},
                              {"kept_tokens", cache.kept_tokens},
                              {"tokens_per_gib", cache.tokens_per_gib},
                              {"lacks_calibration", cache.lacks_calibration}});
  }
  if (both || detail.metadata) {
    json["metadata"] = Json::object();
    for (const MetadataEntry& entry : summary.metadata) {
      json["metadata"][entry.key] = {{"type", entry.type}, {"value", entry.value}};
    }
  }
  if (both || detail.tensors) {
    json["tensors"] = Json::array();
    for (const TensorEntry& tensor : summary.tensors) {
      json["tensors"].push_back(
          {{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
    }
  }
  return json;
}

std::string CpuText(const CpuReport& cpu, const MachineLimits& limits) {
  std::string text = fmt::format("{}\n", cpu.model_name.empty() ? "unknown processor" : cpu.model_name);
  text += Row("CPUs", fmt::format("{} for this process", cpu.cpus));
  text += Row("kernels", fmt::format("{} (this CPU can run {})", cpu.chosen_isa, fmt::join(cpu.supported_isa, ", ")));
  text += Row("memory", fmt::format("{}, {} available now", FormatBytes(cpu.total_memory_bytes),
                                    FormatBytes(cpu.available_memory_bytes)));
  if (!cpu.transparent_huge_pages.empty()) text += Row("huge pages", cpu.transparent_huge_pages);
  text += fmt::format("\nLimits, measured now with {} threads:\n", limits.threads);
  text += Row("reading", fmt::format("{} GB/s over {}", FormatFigure(limits.read_gb_per_second),
                                     FormatBytes(limits.read_buffer_bytes)));
  text += Row("int8", fmt::format("{} TOPS (dot products of bytes)", FormatFigure(limits.int8_tops)));
  text += Row("f32", fmt::format("{} GFLOPS (fused multiply-adds)", FormatFigure(limits.fma_gflops)));
  return text;
}

Json CpuJson(const CpuReport& cpu) {
  return {{"model_name", cpu.model_name},
          {"cpus", cpu.cpus},
          {"supported_isa", cpu.supported_isa},
          {"chosen_isa", cpu.chosen_isa},
          {"total_memory_bytes", cpu.total_memory_bytes},
          {"available_memory_bytes", cpu.available_memory_bytes},
          {"transparent_huge_pages", cpu.transparent_huge_pages}};
}

Json LimitsJson(const MachineLimits& limits) {
  return {{"threads", limits.threads},
          {"read_gb_per_second", limits.read_gb_per_second},
          {"read_buffer_bytes", limits.read_buffer_bytes},
          {"int8_tops", limits.int8_tops},
          {"fma_gflops", limits.fma_gflops}};
}

}  // namespace kvasir::cli
