#!/usr/bin/env bash
# tools/ctest.sh PRESET [CTEST OPTIONS]: runs ctest on build/PRESET, then counts every skipped case with its reason
# (a skip inside a passing program is easy to miss), and ends with ctest's closing line.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh

build=build/$1
shift
say "Testing in $build"
output=$build/Testing/output.log
mkdir -p "$build/Testing"
status=0
# Two more than there are CPUs: tests of servers and of the page wait a third of their time.
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$(($(nproc) + 2))" "$@" 2>&1 | tee "$output" || status=$?

last=$build/Testing/Temporary/LastTest.log
if [[ -f $last ]]; then
  # GoogleTest prints "file:line: Skipped", the reason, and the name; pytest -rs prints "SKIPPED [1] place: reason";
  # the scripts of tools/ print "SKIPPED: reason".
  awk '
    /: Skipped$/ { getline reason; next }
    /^\[  SKIPPED \] .*\([0-9]+ ms\)$/ { print "  " $4 ": " reason; next }
    /^SKIPPED(:| \[)/ { print "  " $0 }
    /^stat::number_of_executed_units/ { runs = $2 }
    /^stat::new_units_added/ { print "  fuzz: " runs " runs, " $2 " new inputs kept" }
  ' "$last" >"$output.notes"
  skipped=$(grep -vc '^  fuzz:' "$output.notes" || true)
  [[ ! -s $output.notes ]] || cat "$output.notes"
  if [[ $skipped == 0 ]]; then echo "Nothing was skipped."; else echo "$skipped skipped, with the reasons above."; fi
fi
grep -E '^[0-9]+% tests passed' "$output" || true
exit "$status"
