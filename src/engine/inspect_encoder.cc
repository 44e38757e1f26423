#include "engine/inspect_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>

#include "base/check.h"
#include "engine/inspect_tensors.h"
#include "engine/pooling.h"
#include "engine/sentence_recipe.h"
#include "files/gguf_metadata.h"
#include "files/safetensors.h"
#include "model/bert.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

// The type that most bytes are of: beside its weights such a file may hold a list of positions as integers.
std::string TypeOf(std::span<const TensorEntry> tensors) {
  std::map<std::string, size_t> bytes;
  for (const TensorEntry& tensor : tensors) bytes[tensor.type] += tensor.bytes;
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  return most == bytes.end() ? "" : most->first;
}

void AddContents(const files::SafetensorsFile& file, ModelSummary& summary) {
  AddTensors(file.tensors(), summary);
  summary.file_type = TypeOf(summary.tensors);
  for (const auto& [key, value] : file.contents().metadata) {
    summary.metadata.push_back({files::Printable(key), "string", files::Printable(value)});
  }
}

// The shape, and the way from a text to a vector. Errors are why Embedder::Load would refuse the model.
Status AddConfig(const std::string& folder, ModelSummary& summary) {
  KV_ASSIGN(const std::string json, ReadModelText(folder, "config.json"));
  KV_ASSIGN(const model::BertConfig config, model::ReadBertConfig(json));
  summary.info.architecture = "bert";
  summary.info.layers = config.layers;
  summary.info.heads = config.heads;
  summary.info.kv_heads = config.heads;
  summary.info.head_dim = config.head_dim();
  summary.info.embedding = config.embedding;
  summary.info.vocabulary = config.vocabulary;
  summary.info.trained_context = config.max_positions;
  KV_ASSIGN(const SentenceRecipe recipe, ReadSentenceRecipe(folder));
  const int longest = recipe.max_tokens > 0 ? std::min(recipe.max_tokens, config.max_positions) : config.max_positions;
  summary.encoder = {
      .pooling = std::string(PoolingName(recipe.pooling)), .normalised = recipe.normalise, .max_tokens = longest};
  return {};
}

}  // namespace

Result<ModelSummary> InspectEncoder(const std::string& folder) {
  const fs::path path(folder);
  KV_ASSIGN(const files::SafetensorsFile file, files::SafetensorsFile::Open((path / "model.safetensors").string()));
  ModelSummary summary;
  summary.info.path = folder;
  summary.info.name = (path.has_filename() ? path : path.parent_path()).filename().string();
  summary.info.file_bytes = file.total_bytes();
  AddContents(file, summary);
  if (const Status known = AddConfig(folder, summary); !known) summary.cannot_run = known.error().message;
  return summary;
}

}  // namespace kvasir
