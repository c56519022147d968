#!/bin/sh
# What docs/performance.md tells of the kernels: sizes, instruction sets, odd and run-time sizes, two threads, the states
# and caches of decoding. Usage: goals.sh BUILD [rounds]. About ten minutes.
set -e
cd "$(dirname "$0")/.."
build=${1:-build}
rounds=${2:-7}
out=$build/bench
mkdir -p "$out"
list="quadratic quadratic_causal quadratic_direct softmax softmax_causal elu_feature elu_causal"
kernels() { # label, instruction set, its number in attn.h, size, n, heads, options
  label=$1 cpu=$2 level=$3 size=$4 n=$5 heads=$6
  shift 6
  objects=""
  for k in $list; do
    "$build/attnc" "examples/$k.attn" "$@" --mcpu="$cpu" -o "$out/goal_$k.o" 2> /dev/null
    objects="$objects $out/goal_$k.o"
  done
  cc -O2 -march=native -ffp-contract=fast -fopenmp -DSIZE="$size" -DLEVEL="$level" -DHEADS="$heads" -Iruntime -I. \
     bench/kernels.c bench/common.c frontend/driver/measure.c $objects "$build/runtime/libattn.a" -lm -o "$out/goal"
  echo "== $label"
  "$out/goal" "$n" "$rounds"
}
sets="x86-64-v3:2"
grep -q avx512bw /proc/cpuinfo && sets="x86-64-v4:3 $sets"
for s in $sets; do
  cpu=${s%:*} level=${s#*:}
  for size in 64 128; do
    n=16384
    [ "$size" = 128 ] && n=8192
    kernels "$cpu, D = M = $size" "$cpu" "$level" $size $n 1 -D D=$size -D M=$size
    kernels "$cpu, D = M = $size at run time" "$cpu" "$level" $size $n 1
  done
  for size in 80 96; do
    kernels "$cpu, D = M = $size" "$cpu" "$level" $size 8192 1 -D D=$size -D M=$size
  done
  for n in 1000 1024; do
    kernels "$cpu, n = $n" "$cpu" "$level" 64 $n 1 -D D=64 -D M=64
  done
  kernels "$cpu, 8 heads" "$cpu" "$level" 64 8192 8 -D D=64 -D M=64
done
