#!/usr/bin/env bash
# ./dev lint [--all | FILE...]: every static check.
#
# The quick ones (include edges, sizes, links, comments of the API, scripts, formatting) look at the whole tree. clang-tidy looks at what
# differs from the branch main and is not committed yet; with --all at everything. That takes long the first time, and
# then only what changed is looked at (tools/tidy.py). A changed header is checked through a file that includes it.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/lint.sh "$@"
tools/setup.sh all

failed=()
quick() {
  local name=$1 status=0
  shift
  printf '%s%-8s%s ' "$bold" "$name" "$plain"
  "$@" || status=$?
  [[ $status == 0 || $status == 77 ]] || failed+=("$name")
}
quick layers python3 tools/check_layers.py
quick sizes python3 tools/check_sizes.py
quick docs python3 tools/check_docs.py
quick comments tools/docs.sh --check
quick scripts tools/check_scripts.sh
quick format tools/format.sh --check

case ${1:-} in
  --all) mapfile -t changed < <(git ls-files 'src/*.cc' 'fuzz/*.cc' 'examples/*.cc') ;;
  -*) die "'$1' is no option of './dev lint'; './dev lint --help' says more." ;;
  '')
    base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || echo HEAD)
    mapfile -t changed < <({ git diff --name-only --diff-filter=d "$base" && git ls-files --others --exclude-standard; } | sort -u)
    ;;
  *) changed=("$@") ;;
esac

# What clang-tidy is given: changed sources, and for a changed header one source that includes it.
sources=()
for file in "${changed[@]}"; do
  case $file in
    src/*.cc | fuzz/*.cc | examples/*.cc) sources+=("$file") ;;
    src/*.h | include/*.h)
      name=${file#src/}
      mapfile -t -O "${#sources[@]}" sources < <(git grep -lF "#include \"${name#include/}\"" -- 'src/*.cc' | head -n 1)
      ;;
  esac
done
if [[ ${#sources[@]} -gt 0 ]]; then
  mapfile -t sources < <(printf '%s\n' "${sources[@]}" | sort -u)
  export CCACHE_BASEDIR=$PWD
  cmake --preset tidy >/dev/null
  say "clang-tidy on ${#sources[@]} files"
  tools/tidy.py build/tidy "${sources[@]}" || failed+=("clang-tidy")
else
  say "no C++ file changed, so clang-tidy has nothing to look at; ./dev lint --all looks at everything"
fi
[[ ${#failed[@]} == 0 ]] || die "these checks failed: ${failed[*]}"
say "All checks passed."
