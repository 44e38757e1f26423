#!/usr/bin/env bash
# tools/with_venv.sh ARGUMENTS...: the Python of the project's environment, with these arguments.
set -euo pipefail
# shellcheck source=tools/say.sh
. "$(dirname "$0")/say.sh"
if [[ ! -x $venv/bin/python ]]; then
  echo "SKIPPED: there is no Python environment in $cache_show/venv; make it with: ./dev setup test"
  exit 77
fi
exec "$venv/bin/python" "$@"
