#!/bin/sh
# What `make demo` shows: derive, compile to objects, link with C, run on a real text. Usage: run.sh BUILD
set -e
cd "$(dirname "$0")/../.."
build=${1:-build}
out=$build/demo
mkdir -p "$out"
attnc=$build/attnc
set -x
"$attnc" explain examples/quadratic.attn -D D=64 -D M=64
"$attnc" examples/quadratic.attn -D D=64 -D M=64 -o "$out/quadratic.o" --header="$out/quadratic.h"
"$attnc" examples/quadratic_direct.attn -D D=64 -D M=64 -o "$out/quadratic_direct.o" --header="$out/quadratic_direct.h"
ls -l "$out/quadratic.o"
cc -O2 -fopenmp -I"$out" -Iruntime examples/demo/demo.c "$out/quadratic.o" "$out/quadratic_direct.o" \
   "$build/runtime/libattn.a" -lm -o "$out/demo"
"$out/demo" docs/language.md
