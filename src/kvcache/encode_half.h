// Which code for which number: the choice of scales, offsets, levels and codes of one half of a page.
#pragma once

#include <vector>

#include "kernels/compact_codes.h"
#include "kernels/compact_page.h"

namespace kvasir::kvcache {

/// What is known of the keys, or of the values, of one layer and KV head. Every part may be missing.
struct HalfCalibration {
  std::vector<float> feedback;  ///< [D][D] strictly lower triangle, see EncodeHalf.
  std::vector<float> weight;    ///< [D] what an error of a feature costs.
};

/// Chooses the codes of x [64][D], which is in the frame in which it is stored. `calibration` may be null.
void EncodeHalf(const kernels::CompactHalf& half, int head_dim, const HalfCalibration* calibration, const float* x,
                kernels::HalfCodes* out);

}  // namespace kvasir::kvcache
