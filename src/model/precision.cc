#include "model/precision.h"

namespace kvasir::model {
PrecisionPolicy PrecisionOf(ComputeMode mode) {
  constexpr auto k8 = ops::Precision::k8Bit;
  constexpr auto k15 = ops::Precision::k15Bit;
  constexpr auto kF32 = ops::Precision::kF32;
  switch (mode) {
    case ComputeMode::kFast: return {k8, k8, k8, k8, k8};
    case ComputeMode::kBalanced: return {k15, k15, k8, k15, k15};
    case ComputeMode::kPrecise: return {k15, k15, k15, k15, k15};
    case ComputeMode::kExact: return {kF32, kF32, kF32, kF32, kF32};
  }
  return {kF32, kF32, kF32, kF32, kF32};
}

}  // namespace kvasir::model
