// The kernels compiled for vnni: only the flags of this folder and the vector type differ from the other instruction
// sets.
//
// Everything is in an anonymous namespace and nothing but plain headers is included: an inline function or a template
// of a shared header compiled here could be the copy that the linker keeps, and then run on a CPU without vnni.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/ref/ref.h"
#include "kernels/table.h"

namespace kvasir::kernels {
namespace {
namespace vnni {

#include "kernels/body/reduce.inc"
#include "kernels/body/simd_avx512.inc"
// The vector type comes first.
#include "kernels/body/math.inc"
// The rest.
#include "kernels/body/dot_vnni.inc"
#include "kernels/body/codes.inc"
#include "kernels/body/matmul_quantized.inc"
#if __has_include("kernels/body/elementwise.inc")
#include "kernels/body/elementwise.inc"
#endif
#if __has_include("kernels/body/attention.inc")
#include "kernels/body/attention.inc"
#endif
#include "kernels/body/table.inc"

}  // namespace vnni
}  // namespace

constinit const KernelTable kVnniTable = vnni::MakeTable(Isa::kVnni, "vnni");

}  // namespace kvasir::kernels
