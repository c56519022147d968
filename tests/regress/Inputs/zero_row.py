"""Compiles zero_row.c against each schedule's kernel. Usage: ATTNC CC INCLUDE LIBATTN DIR"""
import os
import subprocess
import sys

attnc, cc, include, libattn, work = sys.argv[1:]
source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zero_row.c")
words = []
for name in ("linear", "stream", "scan"):
    base = f"{work}/{name}"
    subprocess.run([attnc, base + ".attn", "-o", base + ".o", f"--header={base}.h"], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([cc, "-std=gnu17", "-fopenmp", f'-DKERNEL="{name}.h"', f"-DFORWARD={name}_forward", "-I" + work, "-I" + include,
                    source, base + ".o", libattn, "-lm", "-o", base], check=True)
    words += [name] + subprocess.run([base], check=True, capture_output=True, text=True).stdout.split()
print(" ".join(words))
