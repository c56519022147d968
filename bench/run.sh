#!/bin/sh
# Kernels against the peak of this machine, and decoding against its memory: builds and runs bench/kernels,
# bench/decode and bench/state. Usage: run.sh BUILD [n] [rounds]
set -e
cd "$(dirname "$0")/.."
build=${1:-build}
out=$build/bench
mkdir -p "$out"
shift || true
compile() { # sizes, then the examples to compile and the C program to link them with
  size=$1 program=$2 objects=""
  shift 2
  for k in "$@"; do
    "$build/attnc" "examples/$k.attn" -D D="$size" -D M="$size" --mcpu=native -o "$out/$k.$size.o" 2> /dev/null
    objects="$objects $out/$k.$size.o"
  done
  cc -O2 -march=native -ffp-contract=fast -fopenmp -Iruntime -I. "bench/$program.c" bench/common.c bench/read.c frontend/driver/measure.c $objects \
     "$build/runtime/libattn.a" -lm -o "$out/$program"
}
compile 64 kernels quadratic quadratic_causal quadratic_direct softmax softmax_causal elu_feature elu_causal
compile 64 state quadratic_causal elu_causal
compile 128 decode softmax_causal
"$out/kernels" "$@"
[ $# -lt 1 ] || { half=$(($1 / 2)); shift; set -- $half "$@"; }
"$out/decode" "$@"
"$out/state" 1 "${2:-15}"
