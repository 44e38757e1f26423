#!/usr/bin/env bash
# tools/check_isa_objects.sh BUILD_DIR: the objects of src/kernels/{avx2,avx512,vnni} define no weak symbols.
#
# The problem: an inline function or template instance is a weak symbol, and the linker keeps one copy of it for the
# whole program. If that copy comes from an object built with -mavx512f, a plain CPU runs it and dies of SIGILL far
# from any kernel. So whatever such a file uses must be static or in an unnamed namespace.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
build=${1:?"usage: tools/check_isa_objects.sh BUILD_DIR"}

if grep -q '^KVASIR_SANITIZE:STRING=.' "$build/CMakeCache.txt" || ! grep -q '^CMAKE_BUILD_TYPE:STRING=Rel' "$build/CMakeCache.txt"; then
  echo "SKIPPED: only optimised objects without sanitizers are checked; those of $build are not"
  exit 77
fi
mapfile -t objects < <(find "$build" -path '*kvasir_kernels.dir*' \( -path '*/avx2/*.o' -o -path '*/avx512/*.o' -o -path '*/vnni/*.o' \) | sort)
if [[ ${#objects[@]} == 0 ]]; then
  echo "SKIPPED: $build holds no objects of src/kernels/{avx2,avx512,vnni} (not built, or not an x86-64 CPU)"
  exit 77
fi
bad=0
for object in "${objects[@]}"; do
  symbols=$(nm -C --defined-only "$object" | grep -E '^[0-9a-f]* [WVu] ' | cut -d' ' -f3- || true)
  if [[ $symbols ]]; then
    bad=1
    while read -r symbol; do
      echo "${object##*kvasir_kernels.dir/}: weak symbol $symbol: make it static or put it into an unnamed namespace"
    done <<<"$symbols"
  fi
done
[[ $bad == 0 ]] || exit 1
echo "${#objects[@]} objects, no weak symbols"
