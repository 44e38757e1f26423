// A weight matrix as the operators hold it: packed for the integer kernels, dense panels, or the file's own bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "kvasir/result.h"
#include "ops/weight_arena.h"
#include "tensor/tensor.h"

namespace kvasir::ops {

/// How a Weight keeps its numbers.
enum class WeightForm : uint8_t {
  kPacked,  ///< Quantised codes in panels; read with quantised activations.
  kDense,   ///< f32, f16 or bf16 panels; read with f32 activations.
  kSource,  ///< The file's bytes, dequantised on the fly into f32 panels: exact mode, no memory of its own.
};

/// How Weight::Pack goes about it.
struct PackOptions {
  /// Where packed bytes go, and must outlive the weight; without one, or when it is full, the weight has its own
  /// memory.
  WeightArena* arena = nullptr;
  /// Called on the packing thread with each part of the source that is not going to be read again.
  std::function<void(std::span<const std::byte>)> on_packed;
};

/// A matrix [N, K] that maps K features to N, with an optional bias [N]. Movable; immutable once made.
class Weight {
 public:
  Weight() = default;

  /// Packs `source` for the kernels with all threads of `pool`. Errors: a dtype that cannot be a weight, no memory.
  [[nodiscard]] static Result<Weight> Pack(const tensor::TensorView& source, base::ThreadPool& pool,
                                           const PackOptions& options = {});
  /// Keeps `source` as it is; the mapping must outlive the weight. Errors: a dtype that cannot be dequantised.
  [[nodiscard]] static Result<Weight> FromSource(const tensor::TensorView& source);
  /// Bytes that Pack would take for this tensor; 0 for a dtype that cannot be a weight.
  [[nodiscard]] static size_t PackedBytes(const tensor::TensorView& source);

  void set_bias(std::vector<float> bias) { bias_ = std::move(bias); }

  [[nodiscard]] WeightForm form() const { return form_; }
  [[nodiscard]] int64_t n() const { return n_; }
  [[nodiscard]] int64_t k() const { return k_; }
  [[nodiscard]] int64_t panels() const { return (n_ + kernels::kPanelRows - 1) / kernels::kPanelRows; }
  [[nodiscard]] std::span<const float> bias() const { return bias_; }
  /// Bytes read when the whole matrix is used once.
  [[nodiscard]] size_t bytes() const { return form_ == WeightForm::kSource ? source_.bytes : memory_.size(); }
  /// Bytes of memory of our own, the arena's included.
  [[nodiscard]] size_t owned_bytes() const { return memory_.size() + bias_.size() * sizeof(float); }

  [[nodiscard]] const kernels::PackedWeights& packed() const { return packed_; }
  [[nodiscard]] const kernels::DenseWeights& dense() const { return dense_; }
  [[nodiscard]] const tensor::TensorView& source() const { return source_; }

 private:
  Status TakeMemory(size_t bytes, WeightArena* arena);
  // Calls `pack` for all panels on the threads of the pool, a slab after the other.
  void ForPanels(base::ThreadPool& pool, const PackOptions& options,
                 const std::function<void(int64_t begin, int64_t end)>& pack) const;

  WeightForm form_ = WeightForm::kSource;
  int64_t n_ = 0;
  int64_t k_ = 0;
  base::AlignedBuffer storage_;  // where there is no arena
  std::span<std::byte> memory_;  // packed, in the arena or in storage_
  kernels::PackedWeights packed_;
  kernels::DenseWeights dense_;
  tensor::TensorView source_;
  std::vector<float> bias_;
};

/// The rows [begin, begin + count) of a matrix: fused QKV or gate-up tensors are taken apart with it.
[[nodiscard]] tensor::TensorView SliceRows(const tensor::TensorView& matrix, int64_t begin, int64_t count);

}  // namespace kvasir::ops
