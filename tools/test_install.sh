#!/usr/bin/env bash
# tools/test_install.sh BUILD_DIR COMPILER: installs that build, moves the installed tree elsewhere, lets the separate
# CMake project examples/embed find it there, and runs both programs: they must give the same answer.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
build=$1 compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if grep -q '^KVASIR_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
  echo "SKIPPED: builds with sanitizers are not installed"
  exit 77
fi
cmake --install "$build" --prefix "$work/first" --strip >"$work/install.log" || { cat "$work/install.log" && exit 1; }
mkdir "$work/another place"
mv "$work/first" "$work/another place/kvasir"
prefix="$work/another place/kvasir"
if grep -rlI -e "$work/first" -e "$PWD" "$prefix"; then
  echo "these installed files hold an absolute path, so the tree cannot be moved"
  exit 1
fi

"$prefix/bin/kvasir" --version
cmake -S examples/embed -B "$work/embed" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$work/embed"
if [[ ! -f ${KVASIR_MODELS:-$cache/models}/smollm2.gguf ]]; then
  echo "SKIPPED: embed was built but not run, because the model is not here; fetch it with: ./dev models smollm2"
  exit 77
fi
question="What is the capital of France?"
answer=$("$work/embed/embed" smollm2 "$question" | sed '$d') # without its line of figures
expected=$("$prefix/bin/kvasir" run -m smollm2 -p "$question" --greedy -n 40 --quiet)
printf 'embed:  %s\nkvasir: %s\n' "$answer" "$expected"
[[ -n $answer && $answer == "$expected" ]]
