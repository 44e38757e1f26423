#!/usr/bin/env bash
# ./dev fmt [--check] [FILE...]: formats the C++ files with clang-format 19, or only says which are not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/format.sh "$@"

check=
if [[ ${1:-} == --check ]]; then
  check=yes
  shift
fi
if ! command -v clang-format-19 >/dev/null; then
  if [[ $check ]]; then
    echo "SKIPPED: clang-format-19 is not installed; install it with: ./dev setup clang"
    exit 77
  fi
  tools/setup.sh clang
fi
files=("$@")
if [[ ${#files[@]} == 0 ]]; then
  mapfile -t files < <(find src include fuzz examples \( -name '*.cc' -o -name '*.h' \) | sort)
fi
if [[ $check ]]; then
  wrong=$(clang-format-19 --dry-run "${files[@]}" 2>&1 | sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: .*/\1/p' | sort -u)
  [[ -z $wrong ]] || die "not formatted as .clang-format says: ${wrong//$'\n'/ }; mend with: ./dev fmt"
else
  clang-format-19 -i "${files[@]}"
fi
