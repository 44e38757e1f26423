/// @file
/// Looking at a model file and at the machine without loading anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvasir/engine.h"
#include "kvasir/options.h"
#include "kvasir/result.h"

namespace kvasir {

/// One metadata entry; long arrays are abbreviated.
struct MetadataEntry {
  std::string key;    ///< Such as "general.name"; as it may be shown, control characters escaped.
  std::string type;   ///< GGUF's name of it, for example "U32"; of an array with the number of its elements.
  std::string value;  ///< As one line of text; strings in quotes.
};

/// One tensor of the file.
struct TensorEntry {
  std::string name;            ///< As it may be shown, control characters escaped.
  std::string type;            ///< Of its elements or blocks, for example "Q4_K".
  std::vector<int64_t> shape;  ///< First the contiguous dimension.
  size_t bytes = 0;            ///< In the file.
};

/// What loading with given options would take, in bytes.
struct MemoryPlan {
  int context_tokens = 0;         ///< The context that Engine::Load would choose.
  size_t weight_bytes = 0;        ///< Packed weights and small tensors.
  size_t kv_bytes = 0;            ///< One sequence of the whole context while it is computed.
  size_t kv_bytes_per_token = 0;  ///< Of layers without a window.
  size_t activation_bytes = 0;    ///< Buffers of a forward pass.
  size_t total_bytes = 0;         ///< Weights, cache and activations.
  size_t available_bytes = 0;     ///< To this process, now: the system's or the control group's.
};

/// What a cache takes, by exact arithmetic over its pages.
struct CacheSize {
  KvSpec kv;  ///< As it was given.
  /// Of an element of a key or value in the pages behind the recent tokens, with scales, offsets and outliers. Where
  /// tokens are forgotten, of an element of the whole context: bits of what is kept, over all that was computed.
  double bits_per_element = 0;
  double kept_bits_per_element = 0;  ///< The same of what is kept; without eviction equal.
  /// Of a sequence of the whole context; with an eviction policy when it has brought that down to its budget. Exact,
  /// but for a policy that divides a budget over the heads of a layer: a page for each head more or less.
  size_t bytes = 0;
  size_t whole_bytes = 0;   ///< The same before anything is forgotten.
  size_t peak_bytes = 0;    ///< What has to be free while it is computed, record_bytes included.
  size_t record_bytes = 0;  ///< What an eviction policy records of a sequence of the whole context.
  int kept_tokens = 0;      ///< Of the context, what each layer without a window and head keeps, on average.
  /// The longest context whose peak_bytes fit 1 GiB, in whole pages, whatever the model was trained for.
  int64_t tokens_per_gib = 0;
  /// Whether its codecs could use a calibration, and there is none of this model: then levels are evenly spaced and
  /// errors of keys are not steered.
  bool lacks_calibration = false;
};

/// How an encoder makes a vector of a text.
struct EncoderSummary {
  std::string pooling;      ///< "mean", "first" or "max": which tokens' vectors become the text's.
  bool normalised = false;  ///< Whether vectors have length 1.
  int max_tokens = 0;       ///< Of a text.
};

/// What a model holds, and what loading it would take.
struct ModelSummary {
  ModelInfo info;          ///< Of a file that Kvasir cannot read as a model: path, name, architecture and size only.
  std::string file_type;   ///< For example "Q4_1", from general.file_type.
  int64_t parameters = 0;  ///< Elements of all tensors.
  std::vector<MetadataEntry> metadata;  ///< In the file's order.
  std::vector<TensorEntry> tensors;     ///< In the file's order.
  MemoryPlan plan;                      ///< Where `cannot_run` says something, at most what is available.
  /// The cache that was asked for, then f16 and q8 where these are others; empty for what is no decoder, or where that
  /// cache cannot be.
  std::vector<CacheSize> caches;
  bool has_chat_template = false;  ///< Whether the file has one, good or not.
  /// Set for an encoder, of use for embeddings only (kvasir/embedding.h): it has no cache, so neither plan nor caches.
  std::optional<EncoderSummary> encoder;
  std::string cannot_run;  ///< Why Engine::Load would refuse this file with these options; empty where it would not.
};

/// Reads the headers of a model file, or of an encoder's folder: of a mapped file only the metadata is touched, but
/// where the cache wants a calibration all of it. Errors: kNotFound for the model, kCorrupt. A model that cannot be
/// loaded is none of them: ModelSummary::cannot_run says why.
[[nodiscard]] Result<ModelSummary> InspectModel(const EngineOptions& options);

/// The sizes of `caches` for the context of `options`, or else the one the model was trained for. Errors: those of
/// InspectModel, and of Engine::Load for such a cache; not that memory is short.
[[nodiscard]] Result<std::vector<CacheSize>> InspectCaches(const EngineOptions& options,
                                                           std::span<const KvSpec> caches);

/// The processor as Kvasir sees it.
struct CpuReport {
  std::string model_name;                  ///< As the system calls it; empty where it does not say.
  int cpus = 0;                            ///< That this process may run on.
  std::vector<std::string> supported_isa;  ///< Best last.
  std::string chosen_isa;                  ///< After KVASIR_ISA.
  size_t total_memory_bytes = 0;           ///< Of the machine.
  size_t available_memory_bytes = 0;       ///< As MemoryPlan::available_bytes.
  std::string transparent_huge_pages;      ///< The kernel's setting, such as "always [madvise] never".
};
/// Looks at this machine. Measures nothing.
[[nodiscard]] CpuReport InspectCpu();

/// Whether the environment variable KVASIR_ISA, which forces the kernels, is unset, empty, or names some that this
/// machine can run. A wish that cannot be granted is an error, not a silent change of speed: kInvalidArgument, with the
/// names there are and those that this machine can run. Engine::Load and Embedder::Load check it too.
[[nodiscard]] Status CheckIsaChoice();

/// What this machine can do at most, measured now.
struct MachineLimits {
  int threads = 0;                ///< That were used.
  double read_gb_per_second = 0;  ///< Sequential reads over `read_buffer_bytes`.
  size_t read_buffer_bytes = 0;   ///< As it was asked for.
  double int8_tops = 0;           ///< u8 x s8 dot products, 2 operations per multiply-add.
  double fma_gflops = 0;          ///< f32 multiply-adds, 2 operations each.
};
/// The best rate of sequential reads over a buffer of `buffer_bytes` by `threads` threads (at least 1) within
/// `seconds`, in GB/s; 0 where there is no memory for the buffer.
[[nodiscard]] double MeasureReadRate(int threads, size_t buffer_bytes, double seconds);

/// Measures all of them for about `seconds` with `threads` threads (at least 1) and a buffer of `buffer_bytes`.
[[nodiscard]] MachineLimits MeasureLimits(int threads, size_t buffer_bytes, double seconds);

}  // namespace kvasir
