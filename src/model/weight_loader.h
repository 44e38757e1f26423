// Finds tensors by name, checks their shapes, and turns them into weights.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "files/gguf_reader.h"
#include "kvasir/options.h"
#include "kvasir/result.h"
#include "ops/weight.h"
#include "ops/weight_arena.h"

namespace kvasir::model {

/// Whether `view` becomes a weight: all matrices do, but an embedding only where it is the head as well.
[[nodiscard]] bool IsWeight(const files::GgufFile& gguf, const tensor::TensorView& view);

/// Bytes of all weights of `gguf`, packed.
[[nodiscard]] size_t PackedWeightBytes(const files::GgufFile& gguf);

/// Used while a model loads. Errors name the tensor, the shape found and the shape wanted.
///
/// The file is read through its map. Bytes that are packed are dropped from the map at once, and the system is asked to
/// read those that come next, so that memory never holds the model twice and the disk never waits for the packing.
class WeightLoader {
 public:
  /// Packed weights go into `arena`, which must outlive them; in exact mode they stay in the file.
  WeightLoader(const files::GgufFile& gguf, bool exact, base::ThreadPool& pool, ops::WeightArena& arena,
               std::function<void(const LoadProgress&)> on_progress);

  /// Whether the file has the tensor `name`.
  [[nodiscard]] bool Has(const std::string& name) const { return gguf_.FindTensor(name) != nullptr; }
  /// The tensor `name`, a matrix of k input and n output features.
  [[nodiscard]] Result<tensor::TensorView> Matrix(const std::string& name, int64_t k, int64_t n) const;
  /// The weight NAME.weight with, where the file has it, NAME.bias.
  [[nodiscard]] Result<ops::Weight> Linear(const std::string& name, int64_t k, int64_t n);
  /// A weight of a part of a tensor's rows (fused tensors), with the same part of its bias.
  [[nodiscard]] Result<ops::Weight> LinearRows(const std::string& name, int64_t k, int64_t n, int64_t begin,
                                               int64_t count);
  /// A vector of n values in f32.
  [[nodiscard]] Result<std::vector<float>> Vector(const std::string& name, int64_t n) const;

 private:
  [[nodiscard]] Result<ops::Weight> Make(const tensor::TensorView& view);
  void ReportDone(size_t bytes);
  void LeaveBehind(std::span<const std::byte> packed) const;

  const files::GgufFile& gguf_;
  bool exact_;
  base::ThreadPool& pool_;
  ops::WeightArena& arena_;
  std::function<void(const LoadProgress&)> on_progress_;
  LoadProgress progress_;
};

}  // namespace kvasir::model
