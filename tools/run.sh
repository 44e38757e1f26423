#!/usr/bin/env bash
# ./dev run [-m MODEL] [PROMPT] [-- OPTIONS]: from nothing to an answer.
#
# Installs what is missing, builds the release, fetches the model (smollm2, 98 MB) once, and then
#   - with a PROMPT, or with text on standard input, answers it;
#   - in a terminal without one, holds a chat.
# OPTIONS go to `kvasir run` or `kvasir chat`, for example: ./dev run "Tell me a joke" -- -n 50 --temp 0
# Without any, smollm2 is sampled as its makers advise (--temp 0.2 --top-p 0.9), 400 tokens at most.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/run.sh "$@"

model=smollm2
words=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -m | --model)
      [[ -n ${2:-} ]] || die "$1 needs a model: a GGUF file, or a name that './dev models --list' shows"
      model=$2 && shift 2
      ;;
    --) shift && break ;;
    -?*) die "'$1' is no option of './dev run'. Options for kvasir itself follow a '--': ./dev run \"Hello\" -- $*" ;;
    *) words+=("$1") && shift ;;
  esac
done

prompt="${words[*]:-}"
if [[ -z $prompt && ! -t 0 ]]; then
  prompt=$(cat)
  if [[ -z ${prompt//[[:space:]]/} ]]; then
    prompt="What is a key-value cache in a language model? Answer in two sentences."
    say "No prompt and no terminal, so the question is: $prompt"
  fi
fi

tools/build.sh release kvasir
[[ $model == *.gguf ]] || tools/with_venv.sh tools/models.py --quiet "$model"
if [[ $# == 0 && $model == smollm2 ]]; then
  set -- -n 400 --temp 0.2 --top-p 0.9 # a small model wanders at the general default of 0.8
fi
if [[ -n $prompt ]]; then
  exec build/release/bin/kvasir run -m "$model" -p "$prompt" "$@"
fi
exec build/release/bin/kvasir chat -m "$model" "$@"
