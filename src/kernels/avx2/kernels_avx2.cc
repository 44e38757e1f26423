// The kernels compiled for avx2. Only the flags of this folder and the vector type tell it from the other instruction
// sets.
//
// Everything but the table is in an anonymous namespace and only plain headers are included: an inline function or a
// template of a shared header compiled here could be the copy that the linker keeps, and then run on a CPU without
// avx2.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/table.h"

namespace kvasir::kernels {
namespace avx2 {
namespace {

#include "kernels/body/reduce.inc"
#include "kernels/body/simd_avx2.inc"
// Each needs the ones above it.
// clang-format off
#include "kernels/body/math.inc"
#include "kernels/body/elementwise.inc"
#include "kernels/body/encoder.inc"
#include "kernels/body/rotation.inc"
#include "kernels/body/stored_floats.inc"
#include "kernels/body/page_slots.inc"
#include "kernels/body/attention.inc"
#include "kernels/body/tile_scores.inc"
#include "kernels/body/attention_float.inc"
#include "kernels/body/word_codes.inc"
#include "kernels/body/attention_q8.inc"
#include "kernels/body/quantize.inc"
#include "kernels/body/limits_avx2.inc"
#include "kernels/body/table.inc"
// clang-format on

}  // namespace
}  // namespace avx2

constinit const KernelTable kAvx2Table = avx2::MakeTable(Isa::kAvx2, "avx2");

}  // namespace kvasir::kernels
