#include "engine/calibration_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/check.h"
#include "engine/engine_impl.h"
#include "files/gguf_writer.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kVersion = 1;
constexpr const char* kVersionKey = "kvasir.calibration.version";
constexpr const char* kModelKey = "kvasir.calibration.model";
constexpr const char* kTokensKey = "kvasir.calibration.tokens";
constexpr const char* kShapeKey = "kvasir.calibration.shape";  // L, KVH, D
constexpr const char* kKeyLossesKey = "kvasir.calibration.keys.losses";
constexpr const char* kValueLossesKey = "kvasir.calibration.values.losses";

constexpr const char* kRanges = "ranges";
constexpr const char* kLateRanges = "late_ranges";
constexpr size_t kRangeRows = 4;  // least, most, low, high

// "keys.levels", "late_keys.even_levels", ...: of what, and for how many bits.
std::string LevelsKey(const char* what, int bits) {
  return fmt::format("kvasir.calibration.{}_{}", what, bits);
}
std::string TensorName(const char* what, int layer) {
  return fmt::format("keys.{}.{}", layer, what);
}

// The tables of one layer, all heads one after the other.
struct LayerTables {
  std::vector<float> order, feedback, weight;
};

LayerTables TablesOf(const kvcache::KvShape& shape, const CalibrationData& data, int layer) {
  LayerTables tables;
  for (int head = 0; head < shape.kv_heads; ++head) {
    const kvcache::HalfCalibration& half = data.keys[static_cast<size_t>(layer * shape.kv_heads + head)];
    // A head of which nothing was learnt (no query saw a whole page) has no tables: plain rounding, all features alike.
    const auto d = static_cast<size_t>(shape.head_dim);
    for (size_t i = 0; i < d; ++i) {
      tables.order.push_back(half.order.empty() ? static_cast<float>(i) : static_cast<float>(half.order[i]));
      tables.weight.push_back(half.weight.empty() ? 1.0F : half.weight[i]);
    }
    for (size_t i = 0; i < d * d; ++i) tables.feedback.push_back(half.feedback.empty() ? 0.0F : half.feedback[i]);
  }
  return tables;
}

std::vector<float> RangeRows(const kvcache::KvShape& shape, const std::vector<kvcache::FeatureRanges>& ranges,
                             int layer) {
  std::vector<float> rows;
  for (int head = 0; head < shape.kv_heads; ++head) {
    const kvcache::FeatureRanges& of_head = ranges[static_cast<size_t>(layer * shape.kv_heads + head)];
    for (const auto* row : {&of_head.least, &of_head.most, &of_head.low, &of_head.high}) {
      rows.insert(rows.end(), row->begin(), row->end());
    }
  }
  return rows;
}

void AddLevels(files::GgufHeader& header, const char* what, const std::vector<FittedLevels>& levels) {
  if (levels.empty()) return;
  for (int bits = kFewestFittedBits; bits <= kMostFittedBits; ++bits) {
    std::vector<int8_t> all;
    for (const FittedLevels& layer : levels) {
      const auto& of_bits = layer[static_cast<size_t>(bits - kFewestFittedBits)];
      all.insert(all.end(), of_bits.begin(), of_bits.end());
    }
    header.SetArray<int8_t>(LevelsKey(what, bits), all);
  }
}

Result<std::vector<FittedLevels>> LevelsFrom(const files::GgufMetadata& metadata, const char* what, int layers) {
  std::vector<FittedLevels> levels(static_cast<size_t>(layers));
  for (int bits = kFewestFittedBits; bits <= kMostFittedBits; ++bits) {
    const size_t count = size_t{1} << bits;
    KV_ASSIGN(const std::vector<int64_t> all, metadata.GetIntegers(LevelsKey(what, bits)));
    if (all.size() != count * levels.size()) return Fail(ErrorCode::kCorrupt, "its levels are not of this model");
    for (size_t i = 0; i < all.size(); ++i) {
      auto& of_bits = levels[i / count][static_cast<size_t>(bits - kFewestFittedBits)];
      const bool rises = i % count == 0 || all[i] > all[i - 1];
      if (all[i] < -127 || all[i] > 127 || !rises) return Fail(ErrorCode::kCorrupt, "its levels are not in order");
      of_bits.push_back(static_cast<int8_t>(all[i]));
    }
  }
  return levels;
}

Result<std::span<const float>> Floats(const files::GgufFile& file, const std::string& name, size_t count) {
  KV_ASSIGN(const tensor::TensorView view, file.GetTensor(name));
  if (view.dtype != tensor::DType::kF32 || view.bytes != count * sizeof(float)) {
    return Fail(ErrorCode::kCorrupt, fmt::format("its tensor {} has the wrong size", name));
  }
  const auto numbers = std::span(reinterpret_cast<const float*>(view.data), count);
  if (!std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); })) {
    return Fail(ErrorCode::kCorrupt, fmt::format("its tensor {} has a number that is not finite", name));
  }
  return numbers;
}

// Those that only comparisons need may be missing.
Status ReadLevelSets(const files::GgufMetadata& metadata, int layers, CalibrationData* data) {
  KV_ASSIGN(data->key_levels.measured, LevelsFrom(metadata, "keys.levels", layers));
  KV_ASSIGN(data->value_levels.measured, LevelsFrom(metadata, "values.levels", layers));
  if (!metadata.Has(LevelsKey("keys.even_levels", kFewestFittedBits))) return {};
  KV_ASSIGN(data->key_levels.even, LevelsFrom(metadata, "keys.even_levels", layers));
  KV_ASSIGN(data->value_levels.even, LevelsFrom(metadata, "values.even_levels", layers));
  KV_ASSIGN(data->late_key_levels.measured, LevelsFrom(metadata, "late_keys.levels", layers));
  KV_ASSIGN(data->late_key_levels.even, LevelsFrom(metadata, "late_keys.even_levels", layers));
  return {};
}

Status ReadRanges(const files::GgufFile& file, const kvcache::KvShape& shape, const char* name, int layer,
                  std::vector<kvcache::FeatureRanges>* ranges) {
  const auto d = static_cast<size_t>(shape.head_dim);
  const auto heads = static_cast<size_t>(shape.kv_heads);
  KV_ASSIGN(const auto rows, Floats(file, TensorName(name, layer), heads * kRangeRows * d));
  for (size_t head = 0; head < heads; ++head) {
    const auto row = [&](size_t index) {
      const auto numbers = rows.subspan((head * kRangeRows + index) * d, d);
      return std::vector<float>(numbers.begin(), numbers.end());
    };
    ranges->push_back({.least = row(0), .most = row(1), .low = row(2), .high = row(3)});
    for (size_t i = 0; i < d; ++i) {
      const kvcache::FeatureRanges& last = ranges->back();
      if (last.least[i] <= last.low[i] && last.low[i] <= last.high[i] && last.high[i] <= last.most[i]) continue;
      return Fail(ErrorCode::kCorrupt, fmt::format("its ranges of keys in layer {} are none", layer));
    }
  }
  return {};
}

Status ReadLayer(const files::GgufFile& file, const kvcache::KvShape& shape, int layer, CalibrationData* data) {
  const auto d = static_cast<size_t>(shape.head_dim);
  const auto heads = static_cast<size_t>(shape.kv_heads);
  KV_ASSIGN(const auto order, Floats(file, TensorName("order", layer), heads * d));
  KV_ASSIGN(const auto feedback, Floats(file, TensorName("feedback", layer), heads * d * d));
  KV_ASSIGN(const auto weight, Floats(file, TensorName("weight", layer), heads * d));
  for (size_t head = 0; head < heads; ++head) {
    kvcache::HalfCalibration half;
    std::vector<bool> seen(d, false);
    for (const float feature : order.subspan(head * d, d)) {
      if (!(feature >= 0 && feature < static_cast<float>(d)) || seen[static_cast<size_t>(feature)]) {
        return Fail(ErrorCode::kCorrupt, fmt::format("its order of features in layer {} is none", layer));
      }
      seen[static_cast<size_t>(feature)] = true;
      half.order.push_back(static_cast<uint16_t>(feature));
    }
    const auto of_head = feedback.subspan(head * d * d, d * d);
    half.feedback.assign(of_head.begin(), of_head.end());
    const auto weights = weight.subspan(head * d, d);
    half.weight.assign(weights.begin(), weights.end());
    data->keys.push_back(std::move(half));
  }
  if (file.FindTensor(TensorName(kRanges, 0)) == nullptr) return {};  // all layers have them, or none
  KV_TRY(ReadRanges(file, shape, kRanges, layer, &data->key_ranges));
  return ReadRanges(file, shape, kLateRanges, layer, &data->late_key_ranges);
}

Result<CalibrationData> Read(const std::string& path, const std::string& model_hash, const kvcache::KvShape& shape) {
  KV_ASSIGN(const files::GgufFile file, files::GgufFile::Open(path));
  const files::GgufMetadata& metadata = file.metadata();
  KV_ASSIGN(const uint32_t version, metadata.GetU32(kVersionKey));
  if (version != kVersion)
    return Fail(ErrorCode::kCorrupt, fmt::format("it is of version {}, not {}", version, kVersion));
  KV_ASSIGN(const std::string_view model, metadata.GetString(kModelKey));
  if (model != model_hash) return Fail(ErrorCode::kInvalidArgument, "it belongs to another model");
  KV_ASSIGN(const std::vector<int64_t> numbers, metadata.GetIntegers(kShapeKey));
  if (numbers != std::vector<int64_t>{shape.layers, shape.kv_heads, shape.head_dim}) {
    return Fail(ErrorCode::kCorrupt, "it is of another shape");
  }
  CalibrationData data;
  KV_ASSIGN(data.tokens, metadata.GetI64(kTokensKey));
  KV_TRY(ReadLevelSets(metadata, shape.layers, &data));
  if (metadata.Has(kKeyLossesKey)) {
    KV_ASSIGN(data.key_losses, metadata.GetFloats(kKeyLossesKey));
    KV_ASSIGN(data.value_losses, metadata.GetFloats(kValueLossesKey));
    const auto fits = [&](const std::vector<float>& losses) {
      return losses.size() == static_cast<size_t>(shape.layers) &&
             std::ranges::all_of(losses, [](float loss) { return std::isfinite(loss) && loss >= 0; });
    };
    if (!fits(data.key_losses) || !fits(data.value_losses)) return Fail(ErrorCode::kCorrupt, "its losses are none");
  }
  for (int layer = 0; layer < shape.layers; ++layer) KV_TRY(ReadLayer(file, shape, layer, &data));
  return data;
}

}  // namespace

std::string ModelHash(const files::GgufFile& gguf) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  KV_CHECK(state != nullptr);
  XXH3_128bits_reset(state.get());
  for (const base::MmapFile& part : gguf.parts()) {
    XXH3_128bits_update(state.get(), part.data(), part.size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

Status WriteCalibration(const std::string& path, const std::string& model_hash, const kvcache::KvShape& shape,
                        const CalibrationData& data) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  files::GgufHeader header;
  header.SetString("general.architecture", "kvasir-calibration");
  header.Set(kVersionKey, kVersion);
  header.SetString(kModelKey, model_hash);
  header.Set(kTokensKey, data.tokens);
  header.SetArray<int32_t>(kShapeKey, std::array{shape.layers, shape.kv_heads, shape.head_dim});
  if (!data.key_losses.empty()) {
    header.SetArray<float>(kKeyLossesKey, data.key_losses);
    header.SetArray<float>(kValueLossesKey, data.value_losses);
  }
  AddLevels(header, "keys.levels", data.key_levels.measured);
  AddLevels(header, "keys.even_levels", data.key_levels.even);
  AddLevels(header, "late_keys.levels", data.late_key_levels.measured);
  AddLevels(header, "late_keys.even_levels", data.late_key_levels.even);
  AddLevels(header, "values.levels", data.value_levels.measured);
  AddLevels(header, "values.even_levels", data.value_levels.even);
  const std::array<int64_t, 2> vectors = {shape.head_dim, shape.kv_heads};
  const std::array<int64_t, 3> matrices = {shape.head_dim, shape.head_dim, shape.kv_heads};
  const std::array<int64_t, 3> rows = {shape.head_dim, int64_t{kRangeRows}, shape.kv_heads};
  for (int layer = 0; layer < shape.layers; ++layer) {
    header.AddTensor(TensorName("order", layer), tensor::DType::kF32, vectors);
    header.AddTensor(TensorName("feedback", layer), tensor::DType::kF32, matrices);
    header.AddTensor(TensorName("weight", layer), tensor::DType::kF32, vectors);
    if (data.key_ranges.empty()) continue;
    header.AddTensor(TensorName(kRanges, layer), tensor::DType::kF32, rows);
    header.AddTensor(TensorName(kLateRanges, layer), tensor::DType::kF32, rows);
  }
  KV_ASSIGN(files::GgufWriter writer, files::GgufWriter::Create(path, header));
  for (int layer = 0; layer < shape.layers; ++layer) {
    const LayerTables tables = TablesOf(shape, data, layer);
    KV_TRY(writer.Append(std::as_bytes(std::span(tables.order))));
    KV_TRY(writer.Append(std::as_bytes(std::span(tables.feedback))));
    KV_TRY(writer.Append(std::as_bytes(std::span(tables.weight))));
    if (data.key_ranges.empty()) continue;
    for (const auto* ranges : {&data.key_ranges, &data.late_key_ranges}) {
      const std::vector<float> numbers = RangeRows(shape, *ranges, layer);
      KV_TRY(writer.Append(std::as_bytes(std::span(numbers))));
    }
  }
  return writer.Commit();
}

Result<CalibrationData> ReadCalibration(const std::string& path, const std::string& model_hash,
                                        const kvcache::KvShape& shape) {
  auto data = Read(path, model_hash, shape);
  if (data) return data;
  return Fail(data.error().code,
              fmt::format("the calibration {} cannot be used: {}; 'kvasir calibrate' makes a new one", path,
                          data.error().message));
}

}  // namespace kvasir
