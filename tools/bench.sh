#!/usr/bin/env bash
# ./dev bench [NAME [OPTIONS...]]: runs a benchmark; without a name, lists them.
#
#   kernels    micro-benchmarks of the rooms (*_bench.cc, Google Benchmark); OPTIONS such as --benchmark_filter=Decode
#   NAME       the script bench/NAME.py or bench/NAME.sh, with the release build in $KVASIR_BIN
# Whole-model speed against this machine's limits is a subcommand of the program: kvasir bench -m smollm2
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/bench.sh "$@"

# The first sentence of a script's top comment or docstring.
summary() { sed -n '2,6p' "$1" | grep -v '^$' | head -n 1 | sed 's/^#* *//; s/^"""//; s/"""$//'; }

list() {
  printf '%-14s %s\n' kernels "micro-benchmarks of the rooms, each ISA against the machine's limits"
  local script name
  for script in bench/*.py bench/*.sh; do
    [[ -f $script ]] || continue
    name=${script##*/}
    printf '%-14s %s\n' "${name%.*}" "$(summary "$script")"
  done
}

name=${1:-}
shift || true
case $name in
  '') list ;;
  kernels)
    tools/build.sh bench
    shopt -s nullglob
    programs=(build/bench/bench/kvasir_*_bench)
    [[ ${#programs[@]} -gt 0 ]] || die "no room has a *_bench.cc yet"
    for program in "${programs[@]}"; do
      say "${program##*/}"
      "$program" "$@"
    done
    ;;
  *)
    script=bench/$name.py
    [[ -f $script ]] || script=bench/$name.sh
    [[ -f $script ]] || die "there is no benchmark '$name'. There are:
$(list)"
    tools/build.sh release kvasir
    export KVASIR_BIN=$PWD/build/release/bin/kvasir KVASIR_MODELS=$cache/models
    [[ $script == *.py ]] || exec "$script" "$@"
    tools/setup.sh test
    exec tools/with_venv.sh "$script" "$@"
    ;;
esac
