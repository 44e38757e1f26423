#!/usr/bin/env bash
# ./dev setup [LEVEL]: installs what is missing, and nothing else.
#
#   run    what `./dev run` needs: compiler, libraries, a Python environment for fetching models
#   test   run, and what `./dev test` needs (the default)
#   clang  test, and clang 19: fuzzing, formatting, static analysis
#   docs   doxygen alone, for `./dev docs`
#   all    clang and docs
#
# Debian packages come from tools/apt-packages.txt through apt-get (as root or with sudo), Python packages from
# tools/python-requirements.txt into ~/.cache/kvasir/venv. Run it as often as you like: with nothing to do it
# takes a fraction of a second and says nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/setup.sh "$@"

install_packages() {
  local -a missing become=()
  if ! command -v dpkg-query >/dev/null; then
    warn "this is no Debian system, so nothing is installed for you. Needed, under Debian's names: $(packages "$@" | tr '\n' ' ')"
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || die "these Debian packages are missing, and neither root nor sudo is here to install them. Ask an administrator for:
  apt-get install -y ${missing[*]}"
    become=(sudo)
  fi
  say "Installing ${#missing[@]} Debian packages${become:+ with sudo}: ${missing[*]}"
  local log
  log=$(mktemp)
  local -a apt=("${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600)
  if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    die "apt-get could not install them; the whole output is in $log. Mend that and run this again."
  fi
  rm -f "$log"
}

find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "no Python 3.11 or newer with the venv module was found. On Debian: apt-get install -y python3 python3-venv"
}

install_python() {
  local level=$1 log=$cache/setup-python.log
  local -a what
  venv_is_current "$level" && return
  mkdir -p "$cache"
  exec 9>"$cache/setup.lock"
  flock 9 # a second setup at the same time waits here, then finds the work done
  venv_is_current "$level" && return
  if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    say "Creating a Python environment in $cache_show/venv"
    "$(find_python)" -m venv --clear "$venv"
  fi
  mapfile -t what < <(sed -n 's/^\([a-zA-Z0-9_-]*==[^ ]*\).*/\1/p' tools/python-requirements.txt)
  [[ $level == test ]] || what=("${what[0]}")
  say "Installing Python packages: ${what[*]}"
  if ! "$venv/bin/python" -m pip install --disable-pip-version-check "${what[@]}" </dev/null >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    die "pip could not install them; the whole output is in $log. Mend that and run this again."
  fi
  venv_stamp run >"$venv/.kvasir-run"
  [[ $level == run ]] || venv_stamp test >"$venv/.kvasir-test"
  exec 9>&-
}

case ${1:-test} in
  run) install_packages run && install_python run ;;
  test) install_packages run test && install_python test ;;
  clang) install_packages run test clang && install_python test ;;
  docs) install_packages docs ;;
  all) install_packages run test clang docs && install_python test ;;
  *) die "there is no setup level '$1'; the levels are run, test, clang, docs and all." ;;
esac
