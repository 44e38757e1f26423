# shellcheck shell=bash
# Sourced by every script here: the places outside the checkout, and one way of speaking to people.
# All of it goes to stderr, so that stdout holds only what was asked for.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/kvasir
venv=$cache/venv
cache_show=${cache/#$HOME/\~}
export cache venv cache_show

if [[ -t 1 && -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' yellow='' plain=''
fi
export bold dim red green yellow plain

say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }
warn() { printf '%swarning:%s %s\n' "$yellow" "$plain" "$*" >&2; }
die() {
  printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
  exit 1
}

# usage SCRIPT "$@": for --help, prints the comment at the top of the script and ends.
usage() {
  local script=$1 argument
  shift
  for argument in "$@"; do
    case $argument in
      --) return ;;
      -h | --help)
        awk 'NR > 1 && /^#/ { sub(/^# ?/, ""); print; next } NR > 1 { exit }' "$script"
        exit 0
        ;;
    esac
  done
}

# The names of the visible presets, in the order of CMakePresets.json.
presets() {
  sed -n '/"configurePresets"/,/"buildPresets"/ { /"hidden"/d; s/.*{"name": "\([a-z]*\)".*/\1/p }' CMakePresets.json |
    tr '\n' ' ' | sed 's/ $//'
}

# packages SECTION...: the Debian packages listed under these sections of tools/apt-packages.txt.
packages() {
  local section
  for section in "$@"; do
    awk -v want="[$section]" '/^\[/ { on = $1 == want; next } on && NF && !/^#/ { print $1 }' tools/apt-packages.txt
  done
}

# missing_packages SECTION...: those of them that are not installed.
missing_packages() {
  local -a wanted
  mapfile -t wanted < <(packages "$@")
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# What the virtual environment holds is recorded as a file per level with the checksum of the requirements.
venv_stamp() { printf '%s %s\n' "$1" "$(cksum <tools/python-requirements.txt)"; }
venv_is_current() {
  [[ -x $venv/bin/python && -f $venv/.kvasir-$1 && $(<"$venv/.kvasir-$1") == "$(venv_stamp "$1")" ]]
}
