#!/bin/sh
# A stranger's project: find_package(attnc), attnc_add_kernel, pkg-config. Usage: run.sh BUILD SOURCE
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/prefix" > "$work/log"
cmake -S "$2/tests/install/consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/build" > "$work/log" || { cat "$work/log"; exit 1; }
"$work/build/consumer"
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name attn.pc)")
export PKG_CONFIG_PATH
diff -r -x demo -x decode -x README.md "$2/examples" "$work/prefix/share/attnc/examples" # all of them, as they are
"$work/prefix/bin/attnc" "$work/prefix/share/attnc/examples/softmax.attn" -o "$work/softmax.o" --header="$work/softmax.h"
printf '#include "softmax.h"\nint main(void) { return softmax_forward(0, 0, 0, 0, 0) == ATTN_E_NULL ? 0 : 1; }\n' > "$work/t.c"
cc $(pkg-config --cflags attn) -I"$work" "$work/t.c" "$work/softmax.o" $(pkg-config --libs --static attn) -Wl,-rpath,"$(pkg-config --variable=libdir attn)" -o "$work/t"
"$work/t"
echo "install: consumer ran"
