#!/usr/bin/env bash
# ./dev bench [NAME [OPTIONS...]]: runs a benchmark; without a name, lists them.
#
#   peers      beside llama.cpp, in turns; writes bench/results and the README's table
#   kernels    micro-benchmarks of the rooms (*_bench.cc, Google Benchmark), as shares of the machine's limits
#   scaling    time per token against depth, prompt time against length, cold start
# In general NAME is the script bench/NAME.py or bench/NAME.sh, run with the release build in $KVASIR_BIN; with --help it
# explains itself.
# Whole-model speed against this machine's limits is a subcommand of the program: kvasir bench -m smollm2
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/bench.sh "${1:-}"

# The first sentence of a script's top comment or docstring.
summary() { sed -n '2,6p' "$1" | grep -v '^$' | head -n 1 | sed 's/^#* *//; s/^"""//; s/"""$//'; }

list() {
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
  *)
    script=bench/$name.py
    [[ -f $script ]] || script=bench/$name.sh
    [[ -f $script ]] || die "there is no benchmark '$name'. There are:
$(list)"
    if [[ " $* " == *" -h "* || " $* " == *" --help "* ]]; then
      : # nothing to measure
    elif [[ $name == kernels ]]; then
      tools/build.sh bench
    else
      tools/build.sh release kvasir
    fi
    export KVASIR_BIN=$PWD/build/release/bin/kvasir KVASIR_MODELS=$cache/models
    [[ $script == *.py ]] || exec "$script" "$@"
    tools/setup.sh test
    exec tools/with_venv.sh "$script" "$@"
    ;;
esac
