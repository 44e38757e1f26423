#!/usr/bin/env bash
# tools/check_scripts.sh: every shell script parses and passes shellcheck (where it is installed), every Python
# script parses.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh

shells=(dev .ci/run tools/*.sh)
for script in "${shells[@]}"; do bash -n "$script"; done
python3 - tools/*.py <<'END'
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)
END
if command -v shellcheck >/dev/null; then
  shellcheck --severity=style --external-sources "${shells[@]}"
  echo "every script is sound"
else
  echo "SKIPPED: shellcheck is not installed, so the scripts were only parsed; install it with: ./dev setup clang"
  exit 77
fi
