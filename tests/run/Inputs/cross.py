"""Compiles the exact programs of tests/unit for another machine and runs them in an emulator.

Usage: ATTNC SRC DLPACK HOST_CC CROSS_CC EMULATOR TRIPLE DIR [OPTION...]; options go to attnc."""
import glob
import os
import shutil
import subprocess
import sys

attnc, src, dlpack, host_cc, cross_cc, emulator, triple, out, *options = sys.argv[1:]
shutil.rmtree(out, ignore_errors=True)
os.makedirs(out + "/include")
shutil.copytree(dlpack + "/dlpack", out + "/include/dlpack")
sources = [src + "/tests/run/Inputs/cross.c"] + [f"{src}/tests/unit/{f}.c" for f in ("exact", "guard")]
sources += glob.glob(src + "/runtime/*.c")
flags = ["-std=gnu17", "-O2", "-D_GNU_SOURCE", "-I" + src, "-I" + src + "/runtime", "-I" + out, "-I" + out + "/include"]


def run(*command):
    subprocess.run(command, check=True)


run(host_cc, *flags, "-DWRITE", *sources, "-lm", "-o", out + "/write")
run(out + "/write", out)
names = sorted(os.path.basename(p)[:-5] for p in glob.glob(out + "/*.attn"))
for n in names:
    run(attnc, f"{out}/{n}.attn", "--target=" + triple, "-o", f"{out}/{n}.o", *options)
with open(out + "/kernels.h", "w", encoding="utf-8") as f:
    f.writelines(f"extern const attn_kernel {n}_kernel;\n" for n in names)
    f.write("static const attn_kernel *const kernels[] = {" + ", ".join(f"&{n}_kernel" for n in names) + "};\n")
run(cross_cc, *flags, "-static", *sources, *[f"{out}/{n}.o" for n in names], "-lm", "-o", out + "/exe")
sys.exit(subprocess.run([emulator, out + "/exe"], check=False).returncode)
