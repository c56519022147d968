#!/bin/sh
# Two attentions of one program as one kernel, against the same program with --no-fuse: the same queries, keys and values;
# values alone; all of them under masks that differ. Usage: fused.sh BUILD [n] [rounds].
set -e
cd "$(dirname "$0")/.."
build=${1:-build}
out=$build/bench
[ $# -lt 1 ] || shift
mkdir -p "$out"
qkv="input q[b,h,n,D]; input k[b,g,n,D]; input v[b,g,n,M];"
soft="sim = exp(q·k / √D); causal;"
y="output y[b,h,i,m] = a[b,h,i,m] - c[b,h,i,m];"
echo "$qkv attention a { $soft } attention c { sim = sigmoid(q·k / √D); causal; normalize = 1; } $y" > "$out/fused_same.attn"
echo "$qkv input r[b,h,n,D]; input s[b,g,n,D]; attention a { $soft }" \
     "attention c { q[b,h,i,d] = r[b,h,i,d]; k[b,h,i,d] = s[b,h,i,d]; $soft } $y" > "$out/fused_values.attn"
echo "$qkv attention a { $soft } attention c { $soft window 256; } $y" > "$out/fused_window.attn"
cc -O2 -march=native -Iruntime -I. bench/fused.c bench/common.c frontend/driver/measure.c \
   -L"$build/runtime" -lattn -Wl,-rpath,"$(cd "$build/runtime" && pwd)" -ldl -lm -o "$out/fused"
for p in fused_same fused_values fused_window; do
  "$build/attnc" "$out/$p.attn" --mcpu=native -o "$out/$p.one.so"
  "$build/attnc" "$out/$p.attn" --mcpu=native --no-fuse -o "$out/$p.two.so"
  "$out/fused" "$out/$p.one.so" "$out/$p.two.so" "$p" "$@"
done
