// Chooses the kernel table by what the CPU and the operating system support.
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "kernels/kernels.h"
#include "kernels/table.h"

namespace kvasir::kernels {
namespace {

constexpr Isa kIsas[] = {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni};
constexpr const char* kIsaNames[] = {"ref", "avx2", "avx512", "vnni"};

#if defined(__x86_64__)
// The builtin also asks the operating system (XGETBV) whether it saves the wide registers.
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("f16c");
}
bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool HasVnni() {
  return HasAvx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

const KernelTable* Find(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kRef: return &kRefTable;
    case Isa::kAvx2: return HasAvx2() ? &kAvx2Table : nullptr;
    case Isa::kAvx512: return HasAvx512() ? &kAvx512Table : nullptr;
    case Isa::kVnni: return HasVnni() ? &kVnniTable : nullptr;
  }
  return nullptr;
#else
  return isa == Isa::kRef ? &kRefTable : nullptr;
#endif
}

}  // namespace

Isa BestIsa() {
  Isa best = Isa::kRef;
  for (const Isa isa : kIsas) {
    if (IsaSupported(isa)) best = isa;
  }
  return best;
}

const char* IsaName(Isa isa) {
  return kIsaNames[static_cast<int>(isa)];
}

bool IsaFromName(const char* name, Isa* isa) {
  for (const Isa candidate : kIsas) {
    if (std::strcmp(name, IsaName(candidate)) == 0) {
      *isa = candidate;
      return true;
    }
  }
  return false;
}

Isa ChosenIsa() {
  Isa isa = Isa::kRef;
  const char* name = std::getenv("KVASIR_ISA");
  return name != nullptr && IsaFromName(name, &isa) && IsaSupported(isa) ? isa : BestIsa();
}

bool IsaSupported(Isa isa) {
  return Find(isa) != nullptr;
}

const KernelTable& TableOf(Isa isa) {
  const KernelTable* table = Find(isa);
  KV_CHECK(table != nullptr);
  return *table;
}

}  // namespace kvasir::kernels
