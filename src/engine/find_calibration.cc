#include <filesystem>

#include "base/check.h"
#include "engine/calibration_file.h"
#include "engine/engine_impl.h"
#include "engine/kv_plan.h"
#include "kvasir/calibrate.h"

namespace kvasir {

Result<std::optional<CalibrationInfo>> FindCalibration(const std::string& model) {
  KV_ASSIGN(const std::string file, ResolveModel(model));
  KV_TRY(CheckIsDecoder(file));
  const std::string path = CalibrationPath(file);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  KV_ASSIGN(const files::GgufFile gguf, files::GgufFile::Open(file));
  KV_ASSIGN(const model::ModelConfig config, model::ReadConfig(gguf, 0));
  const kvcache::KvShape shape{config.layers, config.kv_heads, config.head_dim, config.windows};
  KV_ASSIGN(const CalibrationData data, ReadCalibration(path, ModelHash(gguf), shape));
  return CalibrationInfo{.path = path, .tokens = data.tokens, .layers = !data.key_losses.empty()};
}

bool LacksCalibration(const std::string& model, const KvSpec& kv) {
  if (!UsesCalibration(kv)) return false;
  const auto file = ResolveModel(model);
  std::error_code error;
  return file && !std::filesystem::exists(CalibrationPath(*file), error);
}

}  // namespace kvasir
