// What the translation units of one instruction set offer each other and dispatch.cc: their tables, and the matrix
// products and attention over compact pages, which have files of their own because they take longest to compile.
#pragma once

#include <type_traits>

#include "kernels/kernels.h"

namespace kvasir::kernels {

using MatmulQuantizedFunction = std::remove_pointer_t<decltype(KernelTable::matmul_quantized)>;
using MatmulDenseFunction = std::remove_pointer_t<decltype(KernelTable::matmul_dense)>;
using AttendCompactFunction = std::remove_pointer_t<decltype(KernelTable::attend_compact)>;

extern const KernelTable kRefTable;

#if defined(__x86_64__)
extern const KernelTable kAvx2Table;
namespace avx2 {
MatmulQuantizedFunction MatmulQuantized;
MatmulDenseFunction MatmulDense;
AttendCompactFunction AttendCompact;
}  // namespace avx2

extern const KernelTable kAvx512Table;
namespace avx512 {
MatmulQuantizedFunction MatmulQuantized;
MatmulDenseFunction MatmulDense;
AttendCompactFunction AttendCompact;
}  // namespace avx512

extern const KernelTable kVnniTable;
namespace vnni {
MatmulQuantizedFunction MatmulQuantized;
MatmulDenseFunction MatmulDense;
AttendCompactFunction AttendCompact;
}  // namespace vnni
#endif

}  // namespace kvasir::kernels
