#!/usr/bin/env bash
# tools/fuzz_one.sh PROGRAM NAME: one fuzz target for $KVASIR_FUZZ_SECONDS seconds (see tools/fuzz.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1 name=$2
mkdir -p "build/fuzz/corpus/$name" build/fuzz/findings
folders=("build/fuzz/corpus/$name")
[[ ! -d fuzz/corpus/$name ]] || folders+=("fuzz/corpus/$name")
dictionary=()
[[ ! -f fuzz/$name.dict ]] || dictionary=("-dict=fuzz/$name.dict")
llvm=$(command -v llvm-symbolizer-19 || true)
export ASAN_SYMBOLIZER_PATH=$llvm ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
# Quiet, so that what went wrong stands where it is seen: every new input has a line otherwise, thousands of them.
exec "$program" -max_total_time="${KVASIR_FUZZ_SECONDS:-60}" -seed="${KVASIR_FUZZ_SEED:-0}" -timeout=10 \
  -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/findings/$name-" "${dictionary[@]}" "${folders[@]}"
