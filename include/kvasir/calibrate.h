/// @file
/// Learning what an error in a model's cache costs, so that its codecs can choose better codes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// What Calibrate reads and writes.
struct CalibrateOptions {
  EngineOptions engine;  ///< Computed in exact mode, whatever it says.
  std::string text;      ///< Something like what the model will read; the first chunks of it are used.
  int context = 2048;    ///< Tokens of a chunk.
  int chunks = 4;        ///< At most so many are used; 0: all.
  /// Measure what each layer's bits are worth, too, which `auto:3.3bits` needs: 2 * L more passes over half a chunk.
  bool layers = false;
  std::string output;  ///< The file; empty: the place where the engine looks for it.
  /// Called after each chunk, and after each layer's keys and values.
  std::function<void(int done, int total)> on_progress;
};

/// What was learnt, and from how much.
struct CalibrateReport {
  std::string path;    ///< The file that was written.
  int64_t tokens = 0;  ///< It was learnt from.
  size_t bytes = 0;    ///< Of the file.
  double seconds = 0;  ///< All of it, loading included.
};

/// Runs the model over the text, measures what queries look at, and writes the calibration that codecs of `--kv` read
/// at the next start. Errors: those of loading, a text of fewer tokens than two chunks, a file that cannot be written.
[[nodiscard]] Result<CalibrateReport> Calibrate(const CalibrateOptions& options);

/// A calibration that is there.
struct CalibrationInfo {
  std::string path;     ///< Its file.
  int64_t tokens = 0;   ///< It was learnt from.
  bool layers = false;  ///< Whether `auto:3.3bits` can use it.
};

/// The calibration that the engine would use for `model`, a name or a path; none where it was not made. Reads the whole
/// model. Errors: kNotFound for the model; a calibration that is there and cannot be used.
[[nodiscard]] Result<std::optional<CalibrationInfo>> FindCalibration(const std::string& model);

/// Whether a codec of `kv` would do better with a calibration of `model`, a name or a path, and none was made: then
/// levels are evenly spaced, and errors of keys are not steered. Reads no file.
[[nodiscard]] bool LacksCalibration(const std::string& model, const KvSpec& kv);

}  // namespace kvasir
