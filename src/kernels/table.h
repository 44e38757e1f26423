// The tables that exist in this build, one per instruction set; dispatch.cc picks among them.
#pragma once

#include "kernels/kernels.h"

namespace kvasir::kernels {

extern const KernelTable kRefTable;
#if defined(__x86_64__)
extern const KernelTable kAvx2Table;
extern const KernelTable kAvx512Table;
extern const KernelTable kVnniTable;
#endif

}  // namespace kvasir::kernels
