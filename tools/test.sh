#!/usr/bin/env bash
# ./dev test [LABEL...] [--preset PRESET] [-- CTEST OPTIONS]: sets up, builds, fetches the models, runs the tests.
#
# Labels (all by default):
#   unit      the C++ tests beside the code, one program per room
#   checks    include edges, file sizes, formatting, kernels' objects, the documentation, the C++ API's comments, the tools
#   python    tests/*: the real program driven from Python, second opinions on formats and templates
#   install   an installed and moved tree is used by another CMake project (examples/embed)
#
# KVASIR_HEAVY_TESTS=1 adds, as CI does, what repeats at length what shorter tests show: every codec with every policy, for example.
#
#   ./dev test unit -- -R kvcache          one room
#   ./dev test unit --preset asan          under AddressSanitizer and UndefinedBehaviorSanitizer
#   ./dev test python --preset asan        the same for the real program: hostile files, the command line, the server
#   ./dev test python --preset tsan -- -R serve    the server under ThreadSanitizer
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/test.sh "$@"

preset=dev
labels=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --preset) preset=${2:?"--preset needs a name: dev, debug, asan or tsan"} && shift 2 ;;
    --) shift && break ;;
    unit | checks | python | install) labels+=("$1") && shift ;;
    all) shift ;;
    *) die "'$1' is no test label; the labels are unit, checks, python and install. './dev test --help' says more." ;;
  esac
done
selection=()
if [[ ${#labels[@]} -gt 0 ]]; then
  selection=(-L "^($(IFS='|' && echo "${labels[*]}"))\$")
fi

targets=()
if [[ ${labels[*]} == python ]]; then targets=(kvasir); fi # they need no other program
tools/build.sh "$preset" "${targets[@]}"
tools/with_venv.sh tools/models.py --quiet --used-by test
exec tools/ctest.sh "$preset" "${selection[@]}" "$@"
