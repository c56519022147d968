#!/bin/sh
# The search behind the shapes in codegen/targets.def: builds attnc with each shape of the matrix product's micro-kernel
# and measures the kernels that use it. Usage: shapes.sh BUILD [n] [rounds]. A minute per shape.
set -e
cd "$(dirname "$0")/.."
build=${1:-build} n=${2:-4096} rounds=${3:-5}
copy=$build/bench/shapes
mkdir -p "$copy"
for part in CMakeLists.txt cmake codegen examples frontend ir passes runtime tests bench; do
  rm -rf "$copy/${part:?}"
  cp -r "$part" "$copy/"
done
cp codegen/targets.def "$copy/original.def"
shapes="v3:6:2 v3:5:2 v3:4:3 v3:3:4"
grep -q avx512bw /proc/cpuinfo && shapes="v4:6:4 v4:5:4 v4:8:3 v4:9:3 v4:12:2 $shapes"
for shape in $shapes; do
  row=${shape%%:*} mr=${shape#*:}
  nv=${mr#*:} mr=${mr%:*}
  level=2
  [ "$row" = v4 ] && level=3
  # the ninth and tenth entries of the row
  sed "s/^\(TARGET( $row,\([^,]*,\)\{7\}\)[^,]*,[^,]*,/\1 $mr, $nv,/" "$copy/original.def" > "$copy/codegen/targets.def"
  (cd "$copy" && cmake -S . -B tree -DCMAKE_BUILD_TYPE=Release > configure.log 2>&1 && cmake --build tree --target attnc attn_static -j 2 > build.log 2>&1)
  objects=""
  for k in quadratic quadratic_causal quadratic_direct softmax softmax_causal elu_feature elu_causal; do
    "$copy/tree/attnc" "examples/$k.attn" -D D=64 -D M=64 --mcpu="$row" -o "$copy/$k.o" 2> /dev/null
    objects="$objects $copy/$k.o"
  done
  cc -O2 -march=native -ffp-contract=fast -fopenmp -DLEVEL=$level -Iruntime -I. bench/kernels.c bench/common.c \
     frontend/driver/measure.c $objects "$copy/tree/runtime/libattn.a" -lm -o "$copy/kernels"
  echo "== $row, $mr rows by $nv vectors"
  "$copy/kernels" "$n" "$rounds" | sed -n '1,/2 threads/p' | grep -E "quadratic |quadratic_direct|softmax |elu_feature"
done
