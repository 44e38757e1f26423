// What was learnt about a model's cache, in a file: made by Calibrate, read when a codec of `--kv` wants it.
//
// A GGUF file, so that `kvasir inspect` shows it: for each layer the order of rounding, the feedback and the weights of
// its KV heads (kvcache/encode_half.h), and the levels fitted for 2 to 5 bits. It names the model by a hash of all its
// bytes. What only comparisons need (docs/kvquant.md) was added later: a file without it serves all else.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "files/gguf_reader.h"
#include "kvcache/calibration.h"
#include "kvcache/encode_half.h"
#include "kvcache/kv_options.h"

namespace kvasir {

inline constexpr int kFewestFittedBits = 2;
inline constexpr int kMostFittedBits = 5;
inline constexpr double kOutsideRange = 0.005;  ///< Share of the keys' numbers at either end beyond low and high.

/// The levels of one layer's keys or values, for 2, 3, 4 and 5 bits.
using FittedLevels = std::array<std::vector<int8_t>, kMostFittedBits - kFewestFittedBits + 1>;

/// The levels of each layer [L], or empty where the file has none.
struct LevelSets {
  std::vector<FittedLevels> measured;  ///< What an error costs taken into account.
  std::vector<FittedLevels> even;      ///< All numbers of a group's range alike.
};

struct CalibrationData {
  std::vector<kvcache::HalfCalibration> keys;  ///< [L * KVH], before RoPE, pair partners as neighbours.
  LevelSets key_levels;                        ///< Before RoPE.
  LevelSets late_key_levels;                   ///< After it.
  LevelSets value_levels;
  std::vector<kvcache::FeatureRanges> key_ranges;       ///< [L * KVH], before RoPE; empty where the file has none.
  std::vector<kvcache::FeatureRanges> late_key_ranges;  ///< And after it.
  /// What storing one layer's keys, or values, in 2 bits costs alone, as KL divergence [L]; empty if not measured.
  std::vector<float> key_losses;
  std::vector<float> value_losses;
  int64_t tokens = 0;  ///< Of the text it was learnt from.
};

/// A hash of all bytes of a model, in hexadecimal.
[[nodiscard]] std::string ModelHash(const files::GgufFile& gguf);

/// Where the calibration of the model file `model` is kept:
/// ${XDG_CACHE_HOME:-~/.cache}/kvasir/calibration/NAME-HASH.gguf, with a hash of the path.
[[nodiscard]] std::string CalibrationPath(const std::string& model);

/// Writes `data`; the file appears whole or not at all. Errors: kIo.
[[nodiscard]] Status WriteCalibration(const std::string& path, const std::string& model_hash,
                                      const kvcache::KvShape& shape, const CalibrationData& data);

/// Reads it. Errors, with the path and the way out: kNotFound, kCorrupt, and kInvalidArgument for another model's.
[[nodiscard]] Result<CalibrationData> ReadCalibration(const std::string& path, const std::string& model_hash,
                                                      const kvcache::KvShape& shape);

}  // namespace kvasir
