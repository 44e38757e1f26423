// Logits that are none, for tests.
#pragma once

#include <limits>

namespace kvasir::sampling {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();

}  // namespace kvasir::sampling
