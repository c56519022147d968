#!/bin/sh
# Kernels against the peak of this machine: builds bench/kernels and runs it. Usage: run.sh BUILD [n] [rounds]
set -e
cd "$(dirname "$0")/.."
build=${1:-build}
out=$build/bench
mkdir -p "$out"
objects=""
for k in quadratic quadratic_causal quadratic_direct softmax softmax_causal elu_feature elu_causal; do
  "$build/attnc" "examples/$k.attn" -D D=64 -D M=64 --mcpu=native -o "$out/$k.o" 2> /dev/null
  objects="$objects $out/$k.o"
done
cc -O2 -march=native -ffp-contract=fast -fopenmp -Iruntime -I. bench/kernels.c bench/peak.c $objects "$build/runtime/libattn.a" \
   -lm -o "$out/kernels"
shift || true
"$out/kernels" "$@"
