#!/usr/bin/env bash
# ./dev build [PRESET [TARGET...]]: configures build/PRESET if needed and builds it (default: release).
#
# The presets are in CMakePresets.json: release, dev (with tests), ci, debug, asan, tsan, tidy, fuzz, bench.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/build.sh "$@"

preset=${1:-release}
shift || true
[[ " $(presets) " == *" $preset "* ]] || die "there is no preset '$preset'; the presets are: $(presets)."
case $preset in
  release) level=run ;;
  tidy | fuzz) level=clang ;;
  *) level='test' ;;
esac
tools/setup.sh $level

# One compiler cache for all checkouts: paths below the root are hashed relative to it.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

log=build/$preset/configure.log
if [[ ! -f build/$preset/build.ninja || CMakePresets.json -nt build/$preset/build.ninja ]]; then
  say "Configuring build/$preset"
  mkdir -p "build/$preset"
  if ! cmake --preset "$preset" </dev/null >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    die "CMake could not configure the preset '$preset'; the whole output is in $log. './dev doctor' may know why."
  fi
fi
# Editors and clangd look for it at the root; the dev build knows the tests too.
[[ -e compile_commands.json && (! -L compile_commands.json || $preset != dev) ]] || ln -sfn "build/$preset/compile_commands.json" compile_commands.json

# Shows ninja's steps as one moving line in a terminal; a log gets only what went wrong. Nothing to do is worth no word.
show_progress() {
  local line started='' width
  width=$(tput cols 2>/dev/null || echo 100)
  while IFS= read -r line; do
    case $line in
      'ninja: Entering'* | 'ninja: no work'* | '['*'Re-checking globbed'* | '['*'Re-running CMake'* | '-- '*) ;;
      '['[0-9]*)
        [[ $started ]] || say "Building $*"
        started=yes
        [[ ! -t 2 ]] || printf '\r\e[K%s' "${line:0:width-1}" >&2
        ;;
      *)
        [[ ! -t 2 ]] || printf '\r\e[K' >&2
        printf '%s\n' "$line" >&2
        ;;
    esac
  done
  [[ ! -t 2 || ! $started ]] || printf '\r\e[K' >&2
}
[[ ! -t 2 ]] || export CLICOLOR_FORCE=1
NINJA_STATUS='[%f/%t %es] ' ninja -C "build/$preset" "$@" </dev/null 2>&1 | show_progress "$preset${1:+: $*}"
