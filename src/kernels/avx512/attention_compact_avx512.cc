// Attention over compact pages compiled for avx512; see kernels_avx512.cc for what may stand in such a file.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/compact_page.h"
#include "kernels/kernels.h"
#include "kernels/table.h"

namespace kvasir::kernels::avx512 {
namespace {

#include "kernels/body/reduce.inc"
#include "kernels/body/simd_avx512.inc"
// Each needs the ones above it.
// clang-format off
#include "kernels/body/math.inc"
#include "kernels/body/rotation.inc"
#include "kernels/body/stored_floats.inc"
#include "kernels/body/attention.inc"
#include "kernels/body/tile_scores.inc"
#include "kernels/body/word_codes.inc"
#include "kernels/body/compact_expand.inc"
#include "kernels/body/compact_keys.inc"
#include "kernels/body/compact_channel_keys.inc"
#include "kernels/body/compact_word_keys.inc"
#include "kernels/body/compact_rope_keys.inc"
#include "kernels/body/compact_values.inc"
#include "kernels/body/attention_compact.inc"
// clang-format on

}  // namespace

void AttendCompact(const AttendArgs& args, const CompactFormat& format) {
  attention::AttendCompact(args, format);
}

}  // namespace kvasir::kernels::avx512
