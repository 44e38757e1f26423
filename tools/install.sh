#!/usr/bin/env bash
# ./dev install [PREFIX]: builds the release and installs it into PREFIX (default ~/.local): the program kvasir, the
# library with its headers, and a CMake package for find_package(kvasir). The folder can be moved afterwards.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. tools/say.sh
usage tools/install.sh "$@"

prefix=${1:-$HOME/.local}
[[ $prefix == /* ]] || prefix=$here/$prefix
tools/build.sh release
cmake --install build/release --prefix "$prefix" >build/release/install.log || die "installing failed: see build/release/install.log"
say "Installed into $prefix"
case ":$PATH:" in
  *":$prefix/bin:"*) ;;
  *) say "Add it to your path with: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
