#include "model/precision.h"

#include "base/check.h"

namespace kvasir::model {
namespace {

constexpr int64_t kSmallModelWeights = 400'000'000;

}  // namespace

PrecisionPolicy PrecisionOf(ComputeMode mode) {
  constexpr auto k8 = ops::Precision::k8Bit;
  constexpr auto k15 = ops::Precision::k15Bit;
  constexpr auto kF32 = ops::Precision::kF32;
  KV_CHECK(mode != ComputeMode::kAuto);
  switch (mode) {
    case ComputeMode::kAuto: break;
    case ComputeMode::kFast: return {k8, k8, k8, k8, k8};
    case ComputeMode::kBalanced: return {k15, k8, k8, k8, k15};
    case ComputeMode::kPrecise: return {k15, k15, k15, k15, k15};
    case ComputeMode::kExact: return {kF32, kF32, kF32, kF32, kF32};
  }
  return {kF32, kF32, kF32, kF32, kF32};
}

ComputeMode AutomaticCompute(const files::GgufFile& gguf) {
  int64_t weights = 0;
  for (const tensor::TensorView& view : gguf.tensors()) {
    if (view.dims >= 2 && view.name != "token_embd.weight") weights += view.rows() * view.row_elements();
  }
  return weights < kSmallModelWeights ? ComputeMode::kPrecise : ComputeMode::kBalanced;
}

}  // namespace kvasir::model
