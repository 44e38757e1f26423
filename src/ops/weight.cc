#include "ops/weight.h"

#include <fmt/format.h>

#include <atomic>

#include "base/check.h"
#include "kernels/pack.h"
#include "tensor/dtype.h"

namespace kvasir::ops {
namespace {

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

Result<Weight> Weight::Pack(const tensor::TensorView& source, base::ThreadPool& pool) {
  KV_TRY(CheckMatrix(source));
  const auto plan = kernels::PlanPack(source.dtype, source.rows(), source.row_elements());
  KV_CHECK(plan.has_value());
  Weight weight;
  weight.n_ = source.rows();
  weight.k_ = source.row_elements();
  weight.source_ = source;

  constexpr int64_t kPanelsAtATime = 8;
  std::atomic<bool> scales_fit = true;
  if (!plan->dense) {
    KV_ASSIGN(weight.storage_, base::AlignedBuffer::Create(plan->bytes, base::AlignedBuffer::Pages::kHuge));
    pool.ForDynamic(weight.panels(), kPanelsAtATime, [&](int64_t begin, int64_t end, int) {
      if (!kernels::PackPanels(source.dtype, source.data, weight.n_, weight.k_, begin, end, weight.storage_.data())) {
        scales_fit = false;
      }
    });
    weight.form_ = WeightForm::kPacked;
    weight.packed_ = {plan->packed, weight.n_, weight.k_, weight.storage_.data(), kernels::PackTable(source.dtype)};
    if (scales_fit) return weight;
  }

  // Dense types, and the rare block format whose scales are beyond f16.
  const kernels::DenseFormat format = plan->dense ? plan->dense_format : kernels::DenseFormat::kF32;
  const size_t element = format == kernels::DenseFormat::kF32 ? 4 : 2;
  const size_t bytes = static_cast<size_t>(weight.panels() * kernels::kPanelRows * weight.k_) * element;
  KV_ASSIGN(weight.storage_, base::AlignedBuffer::Create(bytes, base::AlignedBuffer::Pages::kHuge));
  pool.ForDynamic(weight.panels(), kPanelsAtATime, [&](int64_t begin, int64_t end, int) {
    kernels::PackDense(source.dtype, source.data, weight.n_, weight.k_, begin, end, format, weight.storage_.data());
  });
  weight.form_ = WeightForm::kDense;
  weight.dense_ = {format, weight.n_, weight.k_, weight.storage_.data()};
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
