#!/usr/bin/env bash
# ./dev docs [--check]: builds the reference of the public C++ API with Doxygen, and prints where it begins.
#
# It is made of the comments in include/kvasir and of docs/cpp-api.md, into build/docs. Something public without a
# comment, or a comment that Doxygen cannot read, is an error; --check only looks for these and keeps no pages.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/docs.sh "$@"

check=
case ${1:-} in
  '') ;;
  --check) check=yes ;;
  *) die "'$1' is no option of './dev docs'; './dev docs --help' says more." ;;
esac
if ! command -v doxygen >/dev/null; then
  if [[ $check ]]; then
    echo "SKIPPED: doxygen is not installed; install it with: ./dev setup docs"
    exit 77
  fi
  tools/setup.sh docs
fi
if [[ $check ]]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
else
  out=$PWD/build/docs
  rm -rf "$out"
  mkdir -p "$out"
fi
if ! problems=$({ cat docs/Doxyfile && printf 'OUTPUT_DIRECTORY = "%s"\n' "$out"; } | doxygen - 2>&1); then
  printf '%s\n' "${problems//"$PWD/"/}" | awk '!seen[$0]++' >&2 # a page for each member says it again
  die "Doxygen is not content with the comments of the public API; docs/Doxyfile says what it asks for."
fi
if [[ $check ]]; then echo "everything public is documented"; else echo "$out/html/index.html"; fi
