/// @file
/// Receipts: which cache was measured to suit a model, in a TOML file that programs read at their start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvasir/eval.h"
#include "kvasir/kv_spec.h"
#include "kvasir/result.h"

namespace kvasir {

/// What was measured of the cache. Figures of time are of the machine that Receipt names.
struct ReceiptFigures {
  double mean_kld = 0;                                ///< Nats, from exact mode: what the cache adds.
  std::optional<Interval> mean_kld_interval;          ///< Over chunks.
  double perplexity_ratio = 1;                        ///< Over that of exact mode.
  std::optional<Interval> perplexity_ratio_interval;  ///< Over chunks.
  double same_top = 1;                                ///< Share of positions with the same most likely token.
  int chunks = 0;  ///< Of `context_tokens` tokens each, whose second halves were compared.
  /// CacheSize::bits_per_element; where tokens are evicted, those of `bytes`.
  double bits_per_element = 0;
  /// Of a sequence of the whole context; where tokens are evicted what was held at its end.
  size_t bytes = 0;
  size_t peak_bytes = 0;       ///< CacheSize::peak_bytes.
  int64_t tokens_per_gib = 0;  ///< CacheSize::tokens_per_gib.
  /// Behind the context; 0 where it was not measured.
  double decode_tokens_per_second = 0;
  double f16_decode_tokens_per_second = 0;  ///< Of an f16 cache in the same run.
};

/// What was chosen for a model, what was measured of it, and how.
struct Receipt {
  KvSpec kv;                ///< The cache.
  int context_tokens = 0;   ///< At which it was measured.
  ReceiptFigures figures;   ///< What was measured of it.
  std::string command;      ///< What wrote the receipt.
  std::string date;         ///< In UTC, as 2026-11-23T07:00:00Z.
  std::string version;      ///< Of Kvasir.
  std::string isa;          ///< The kernels.
  std::string cpu;          ///< As CpuReport::model_name.
  std::string compute;      ///< The compute mode of the figures of time.
  int threads = 0;          ///< Of the figures of time.
  std::string model_hash;   ///< Of all bytes of the model; WriteReceipt fills it in.
  std::string calibration;  ///< Hash of the calibration that `kv` uses, empty where none; WriteReceipt fills it in.
};

/// The receipt as a TOML file.
[[nodiscard]] std::string ReceiptText(const Receipt& receipt);
/// Reads it back. Errors, which continue "the receipt PATH ...": kCorrupt with the line, kUnsupported for a schema of
/// another time.
[[nodiscard]] Result<Receipt> ParseReceipt(const std::string& text);

/// Writes a receipt for the model (a name or a path) to `path`, as a whole or not at all. Where `path` is empty: to
/// NAME.kvasir.toml beside the model file, or where that cannot be written to
/// ${XDG_CACHE_HOME:-~/.cache}/kvasir/receipts. Gives the path. Errors: kNotFound for the model, kIo.
[[nodiscard]] Result<std::string> WriteReceipt(const std::string& model, Receipt receipt, const std::string& path = "");

/// What FindReceipt found.
struct ReceiptSearch {
  /// A receipt and where it was found.
  struct File {
    std::string path;  ///< Of the TOML file.
    Receipt receipt;   ///< What it says.
  };
  std::optional<File> file;           ///< The one to use; the later one where both places have one.
  std::vector<std::string> warnings;  ///< For each that is there and cannot be used: which, why, and the way out.
};
/// Looks for the model's receipt where WriteReceipt puts it. One that is of another model, or was measured with
/// another calibration than the one there is now, is not used. Reads the whole model where there is a receipt.
[[nodiscard]] ReceiptSearch FindReceipt(const std::string& model);

}  // namespace kvasir
