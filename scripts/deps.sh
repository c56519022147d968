#!/bin/sh
# Installs what building and testing attnc needs on Debian and its relatives; with `bench`, also what installing the
# systems needs that it is measured against. Quick when nothing is missing.
set -e
build="flex bison pkg-config libflint-dev libgmp-dev libmpfr-dev libdlpack-dev"
tests="python3-numpy gnuplot-nox"
peers="python3-venv python3-dev g++"
cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
missing=""
[ "$1" = bench ] || peers=""
have() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }
for p in $build $tests $cross $peers; do have "$p" || missing="$missing $p"; done
llvm=""
for v in 22 21 20 19; do
  if have llvm-$v-dev && have llvm-$v-tools; then llvm="$llvm $v"; fi
done
want=1
[ "$1" = test ] && want=2
if [ -z "$missing" ] && [ "$(echo $llvm | wc -w)" -ge $want ]; then exit 0; fi
if ! command -v apt-get >/dev/null; then
  echo "deps: no apt-get here; install by hand: $missing and LLVM >= 19 (-dev and -tools)" >&2
  exit 1
fi
run=""
if [ "$(id -u)" != 0 ]; then run=sudo; fi
$run apt-get update -q || echo "deps: apt-get update failed, trying with the lists at hand" >&2
found=$(echo $llvm | wc -w)
for v in 22 21 20 19; do
  [ "$found" -ge $want ] && break
  case " $llvm " in *" $v "*) continue ;; esac
  if apt-cache show llvm-$v-dev >/dev/null 2>&1; then
    missing="$missing llvm-$v-dev llvm-$v-tools"
    found=$((found + 1))
  fi
done
if [ "$found" = 0 ]; then
  echo "deps: no LLVM >= 19 among this system's packages" >&2
  exit 1
fi
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -q --no-install-recommends $missing
