#!/bin/sh
# What `make decode` shows: two programs that step. Usage: run.sh BUILD [TOKENS [OUT]]
# TOKENS: how many quadratic_decode makes. OUT: where kernels and programs go, else BUILD/decode.
set -e
build=$(cd "${1:-build}" && pwd)
tokens=${2:-1000000}
mkdir -p "${3:-$build/decode}"
out=$(cd "${3:-$build/decode}" && pwd)
cd "$(dirname "$0")/../.."
attnc=$build/attnc
set -x
"$attnc" examples/mqa.attn -D D=64 -D M=64 -o "$out/mqa.o" --header="$out/mqa.h"
cc -O2 -fopenmp -I"$out" -Iruntime examples/decode/mqa_decode.c "$out/mqa.o" "$build/runtime/libattn.a" -lm -o "$out/mqa_decode"
"$attnc" examples/quadratic_causal.attn -D D=16 -D M=16 -o "$out/quadratic_causal.o" --header="$out/quadratic_causal.h"
cc -O2 -fopenmp -I"$out" -Iruntime examples/decode/quadratic_decode.c "$out/quadratic_causal.o" \
   "$build/runtime/libattn.a" -lm -o "$out/quadratic_decode"
"$out/mqa_decode"
"$out/quadratic_decode" "$tokens"
