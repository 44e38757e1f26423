#!/usr/bin/env bash
# tools/pytest.sh BUILD_DIR PATH...: runs these files or folders with pytest against the program of that build tree.
# Tests find it as $KVASIR_BIN and the models in $KVASIR_MODELS.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
export KVASIR_BIN=$1/bin/kvasir KVASIR_MODELS=$cache/models PYTHONDONTWRITEBYTECODE=1
# numpy's threads of a second test only wait for a CPU, spinning: the references take eight times as long with them.
export OPENBLAS_NUM_THREADS=1
# So do the program's own threads: ctest keeps every CPU busy with another test. Sanitizers are to see several threads.
case ${1##*/} in asan | tsan) ;; *) export KVASIR_THREADS=1 KVASIR_SERVE_THREADS=1 ;; esac
shift
exec tools/with_venv.sh -m pytest -q -rs -p no:cacheprovider --durations=12 "$@"
