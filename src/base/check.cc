#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kvasir::base {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "kvasir: internal error at %s:%d: %s does not hold. This is a bug in Kvasir.\n", file, line,
               condition);
  std::abort();
}

}  // namespace kvasir::base
