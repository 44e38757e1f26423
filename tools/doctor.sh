#!/usr/bin/env bash
# ./dev doctor: what is missing on this machine, each with the exact fix. Ends with 1 if something needed is missing.
# Installs nothing, and needs nothing but bash.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/doctor.sh "$@"

needed=0
ok() { printf '  %s✓%s %-18s %s\n' "$green" "$plain" "$1" "$2"; }
note() { printf '  %s•%s %-18s %s\n' "$yellow" "$plain" "$1" "$2"; }
fix() { printf '    %sfix:%s %s\n' "$bold" "$plain" "$1"; }
bad() {
  printf '  %s✗%s %-18s %s\n' "$red" "$plain" "$1" "$2"
  fix "$3"
  needed=1
}

# program NAME MINIMUM COMMAND FIX: that the program is there, and its version is not below the minimum.
program() {
  local version
  if ! command -v "${3%% *}" >/dev/null; then
    bad "$1" "not found" "$4"
    return
  fi
  version=$($3 2>&1 | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)*' | head -n 1)
  if [[ $(printf '%s\n%s\n' "$2" "$version" | sort -V | head -n 1) == "$2" ]]; then
    ok "$1" "$version"
  else
    bad "$1" "$version is older than $2" "use Debian 12 or newer, or put a newer $1 on the PATH"
  fi
}

packages_of() {
  local level=$1 optional=${2:-}
  local -a missing
  command -v dpkg-query >/dev/null || { note "packages, $level" "no Debian system: cannot look" && return; }
  mapfile -t missing < <(missing_packages "$level")
  if [[ ${#missing[@]} == 0 ]]; then
    ok "packages, $level" "all there"
  elif [[ $optional ]]; then
    note "packages, $level" "optional, for $optional; missing: ${missing[*]}"
    fix "./dev setup $level"
  else
    bad "packages, $level" "missing: ${missing[*]}" "./dev setup $level"
  fi
}

free_space() {
  local folder=$1 gigabytes=$2 what=$3 free
  while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
  free=$(df --output=avail -BG "$folder" | tail -n 1 | tr -dc 0-9)
  if ((free >= gigabytes)); then
    ok "disk, $what" "$free GB free in $folder"
  else
    bad "disk, $what" "$free GB free in $folder, $gigabytes GB needed" "make room, or set XDG_CACHE_HOME to a folder on another disk"
  fi
}

echo "${bold}To build and run${plain}"
packages_of run
program g++ 12.0 "g++ -dumpfullversion" "./dev setup run"
program cmake 3.25 "cmake --version" "./dev setup run"
program ninja 1.10 "ninja --version" "./dev setup run"
if venv_is_current run; then ok "python, run" "$cache_show/venv"; else bad "python, run" "no environment in $cache_show/venv" "./dev setup run"; fi
free_space "$cache" 2 "models"
free_space "$PWD" 4 "builds"

echo "${bold}To test${plain}"
packages_of test
if venv_is_current test; then ok "python, test" "as tools/python-requirements.txt says"; else bad "python, test" "packages are missing or old" "./dev setup test"; fi
packages_of clang "fmt, lint and fuzz"
packages_of docs "docs"

echo "${bold}Models${plain}"
if [[ -x $venv/bin/python ]]; then
  while IFS=: read -r name state; do
    if [[ $state == ' ready' ]]; then
      ok "$name" "$cache_show/models"
    elif [[ -n $("$venv/bin/python" tools/models.py --used-by test --check "$name" || true) ]]; then
      bad "$name" "${state# }" "./dev models $name"
    else
      note "$name" "${state# } (optional: ./dev models $name)"
    fi
  done < <("$venv/bin/python" tools/models.py --check)
else
  bad "models" "cannot look without the Python environment" "./dev setup run && ./dev models"
fi

echo "${bold}This machine${plain}"
flags=" $(grep -m 1 -oP '^flags\s*: \K.*' /proc/cpuinfo || true) "
isa=ref
[[ $flags == *" avx2 "* && $flags == *" fma "* && $flags == *" f16c "* && $flags == *" bmi2 "* ]] && isa=avx2
[[ $isa == avx2 && $flags == *" avx512f "* && $flags == *" avx512bw "* && $flags == *" avx512dq "* && $flags == *" avx512vl "* ]] && isa=avx512
[[ $isa == avx512 && $flags == *" avx512_vnni "* ]] && isa=vnni
if [[ $isa == ref ]]; then
  note "instruction set" "no AVX2 here: the reference kernels are used, many times slower"
else
  ok "instruction set" "$isa kernels"
fi
ok "processors" "$(nproc) of $(nproc --all)"
memory=$(awk '/^MemAvailable/ { printf "%.1f", $2 / 1048576 }' /proc/meminfo)
ok "memory" "$memory GB available"
thp=$(grep -oP '\[\K\w+' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null || echo unknown)
case $thp in
  always | madvise) ok "huge pages" "$thp" ;;
  *) note "huge pages" "transparent huge pages: $thp; a few per cent faster with: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled" ;;
esac

if [[ $needed == 0 ]]; then
  echo "${green}Everything needed is here.${plain}"
else
  echo "${red}Something needed is missing; the fixes are above.${plain}"
fi
exit "$needed"
