#include "ops/weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/check.h"
#include "kernels/pack.h"
#include "tensor/dtype.h"

namespace kvasir::ops {
namespace {

constexpr size_t kSlabBytes = size_t{32} << 20;  // of the source between two reports, and in memory at the same time
constexpr size_t kChunkBytes = size_t{1} << 20;  // of the source that a thread takes at a time, at most

Status CheckMatrix(const tensor::TensorView& source) {
  if (!tensor::Traits(source.dtype).dequantisable) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("tensor '{}' has type {}, which Kvasir cannot compute with; convert the model to another "
                            "type, for example Q4_K_M or Q8_0",
                            source.name, tensor::DTypeName(source.dtype)));
  }
  return {};
}

}  // namespace

Result<Weight> Weight::FromSource(const tensor::TensorView& source) {
  KV_TRY(CheckMatrix(source));
  Weight weight;
  weight.form_ = WeightForm::kSource;
  weight.n_ = source.rows();
  weight.k_ = source.row_elements();
  weight.source_ = source;
  return weight;
}

size_t Weight::PackedBytes(const tensor::TensorView& source) {
  const auto plan = kernels::PlanPack(source.dtype, source.rows(), source.row_elements());
  return plan ? plan->bytes : 0;
}

Status Weight::TakeMemory(size_t bytes, WeightArena* arena) {
  memory_ = arena != nullptr ? arena->Take(bytes) : std::span<std::byte>();
  if (!memory_.empty() || bytes == 0) return {};
  KV_ASSIGN(storage_, base::AlignedBuffer::Create(bytes, base::AlignedBuffer::Pages::kHuge));
  memory_ = {storage_.data(), storage_.size()};
  return {};
}

void Weight::ForPanels(base::ThreadPool& pool, const PackOptions& options,
                       const std::function<void(int64_t begin, int64_t end)>& pack) const {
  const size_t panel_bytes = kernels::kPanelRows * source_.row_bytes();
  const auto slab = static_cast<int64_t>(std::max<size_t>(1, kSlabBytes / panel_bytes));
  const auto chunk = static_cast<int64_t>(std::max<size_t>(1, kChunkBytes / panel_bytes));
  for (int64_t first = 0; first < panels(); first += slab) {
    const int64_t count = std::min(slab, panels() - first);
    const int64_t grain = std::clamp<int64_t>(count / (4 * pool.size()), 1, chunk);
    pool.ForDynamic(count, grain, [&](int64_t begin, int64_t end, int) { pack(first + begin, first + end); });
    if (!options.on_packed) continue;
    const auto source_begin = static_cast<size_t>(first) * panel_bytes;
    const size_t source_end = std::min(source_.bytes, static_cast<size_t>(first + count) * panel_bytes);
    options.on_packed({source_.data + source_begin, source_end - source_begin});
  }
}

Result<Weight> Weight::Pack(const tensor::TensorView& source, base::ThreadPool& pool, const PackOptions& options) {
  KV_TRY(CheckMatrix(source));
  const auto plan = kernels::PlanPack(source.dtype, source.rows(), source.row_elements());
  KV_CHECK(plan.has_value());
  Weight weight;
  weight.n_ = source.rows();
  weight.k_ = source.row_elements();
  weight.source_ = source;
  KV_TRY(weight.TakeMemory(plan->bytes, options.arena));
  const bool filled = options.arena != nullptr && options.arena->filled() && weight.storage_.empty();
  if (!plan->dense) {
    weight.form_ = WeightForm::kPacked;
    weight.packed_ = {plan->packed, weight.n_, weight.k_, weight.memory_.data(), kernels::PackTable(source.dtype)};
    if (filled) return weight;
    std::atomic<bool> scales_fit = true;
    weight.ForPanels(pool, options, [&](int64_t begin, int64_t end) {
      if (!kernels::PackPanels(source.dtype, source.data, weight.n_, weight.k_, begin, end, weight.memory_.data())) {
        scales_fit = false;
      }
    });
    if (scales_fit) return weight;
    // The rare block format whose scales are beyond f16 becomes dense, and larger than the arena has room for.
    if (options.arena != nullptr) options.arena->set_incomplete();
    KV_TRY(weight.TakeMemory(kernels::DenseBytes(kernels::DenseFormat::kF32, weight.n_, weight.k_), nullptr));
  }
  const kernels::DenseFormat format = plan->dense ? plan->dense_format : kernels::DenseFormat::kF32;
  weight.form_ = WeightForm::kDense;
  weight.dense_ = {format, weight.n_, weight.k_, weight.memory_.data()};
  if (filled) return weight;
  weight.ForPanels(pool, options, [&](int64_t begin, int64_t end) {
    kernels::PackDense(source.dtype, source.data, weight.n_, weight.k_, begin, end, format, weight.memory_.data());
  });
  return weight;
}

tensor::TensorView SliceRows(const tensor::TensorView& matrix, int64_t begin, int64_t count) {
  KV_CHECK(begin >= 0 && count >= 0 && begin + count <= matrix.rows());
  tensor::TensorView slice = matrix;
  slice.dims = 2;
  slice.shape = {matrix.row_elements(), count, 1, 1};
  slice.data = matrix.row(begin);
  slice.bytes = static_cast<size_t>(count) * matrix.row_bytes();
  return slice;
}

}  // namespace kvasir::ops
