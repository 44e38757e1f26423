#!/usr/bin/env bash
# ./dev fuzz [SECONDS [TARGET...]]: runs each target of fuzz/ (or those named) that long; 60 seconds by default.
#
# Targets are built with clang 19, libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer. New inputs are kept in
# build/fuzz/corpus/TARGET and used the next time; an input that fails is kept in build/fuzz/findings/. To see one
# again: build/fuzz/fuzz/fuzz_TARGET build/fuzz/findings/FILE
# Every run draws other inputs; $KVASIR_FUZZ_SEED=N draws the same.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/fuzz.sh "$@"

export KVASIR_FUZZ_SECONDS=${1:-60}
shift || true
[[ $KVASIR_FUZZ_SECONDS =~ ^[0-9]+$ ]] || die "'$KVASIR_FUZZ_SECONDS' is no number of seconds; write for example: ./dev fuzz 60 gguf"
selection=()
[[ $# == 0 ]] || selection=(-R "^fuzz\.($(IFS='|' && echo "$*"))\$")
tools/build.sh fuzz fuzzers
exec tools/ctest.sh fuzz -L fuzz "${selection[@]}"
