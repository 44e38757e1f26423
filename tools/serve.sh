#!/usr/bin/env bash
# ./dev serve [-m MODEL] [-- OPTIONS]: from nothing to a server that OpenAI clients can use.
#
# Installs what is missing, builds the release, fetches the model (smollm2, 98 MB) once, and serves it at
# http://127.0.0.1:8080: a web page for a browser, and OpenAI's API for programs. It says so, with a line to try.
# OPTIONS go to `kvasir serve`, for example: ./dev serve -- --port 9000
# Without any, requests to smollm2 that do not say how to sample get what its makers advise.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/serve.sh "$@"

model=smollm2
while [[ $# -gt 0 ]]; do
  case $1 in
    -m | --model)
      [[ -n ${2:-} ]] || die "$1 needs a model: a GGUF file, or a name that './dev models --list' shows"
      model=$2 && shift 2
      ;;
    --) shift && break ;;
    *) die "'$1' is no option of './dev serve'. Options for kvasir itself follow a '--': ./dev serve -- $*" ;;
  esac
done

tools/build.sh release kvasir
[[ $model == *.gguf ]] || tools/with_venv.sh tools/models.py --quiet "$model"
if [[ $# == 0 && $model == smollm2 ]]; then
  set -- --temperature 0.2 --top-p 0.9 # a small model wanders at OpenAI's default of 1
fi
exec build/release/bin/kvasir serve -m "$model" "$@"
