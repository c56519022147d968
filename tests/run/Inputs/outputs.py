"""What attnc writes, on disk and as text. Usage: ATTNC SOURCE CC DLPACK_INCLUDE WORKDIR"""
import ctypes
import os
import re
import shutil
import subprocess
import sys

import numpy as np

attnc, source, cc, dlpack, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
for name in ("quadratic", "softmax_causal"):
    shutil.copy(f"{source}/examples/{name}.attn", ".")


def run(*words, code=0, **more):
    r = subprocess.run(words, capture_output=True, timeout=120, **more)
    assert r.returncode == code, (words, r.returncode, r.stderr[-800:])
    return r


# every suffix, twice: the same bytes, and nothing else left behind
for name in ("quadratic", "softmax_causal"):
    for suffix in ("o", "s", "ll", "air", "h"):
        run(attnc, f"{name}.attn", "-o", f"{name}.{suffix}")
        first = open(f"{name}.{suffix}", "rb").read()
        run(attnc, f"{name}.attn", "-o", f"{name}.{suffix}")
        assert first and first == open(f"{name}.{suffix}", "rb").read(), suffix
        assert work.encode() not in first and source.encode() not in first, suffix
    assert open(f"{name}.o", "rb").read(4) == b"\x7fELF"
    standard = run(attnc, "-", "-o", "-", "--emit=ir", input=open(f"{name}.attn", "rb").read()).stdout
    assert standard.replace(b"@attention", b"@" + name.encode()) == run(attnc, f"{name}.attn", "--emit=ir").stdout
    run(attnc, f"{name}.attn", "-o", f"{name}.so")
    flags = ["--print-after=all", "--print-changed", "--stats", "--remarks", "--check-each", "-v"]
    logs = [run(attnc, f"{name}.attn", "-o", "x.o", *flags).stderr for _ in range(2)]
    assert logs[0] and logs[0] == logs[1] and not re.search(rb"0x[0-9a-f]{6}|/tmp|" + work.encode(), logs[0]), logs[0]
    assert open("x.o", "rb").read() == open(f"{name}.o", "rb").read()
    assert b" ms\n" in run(attnc, f"{name}.attn", "-o", "x.o", "--time-passes").stderr
    run(attnc, f"{name}.attn", "-o", "x.o", "--reproduce=again.attn")
    run(attnc, "again.attn", "--emit=ir")
    stopped = run(attnc, f"{name}.attn", "--stop-after=cse").stdout
    assert stopped.startswith(b"attention @" + name.encode()), stopped[:80]
    # the object: no undefined symbol beyond the runtime's and two of libc, no data that can be written
    for line in run("nm", f"{name}.o").stdout.decode().splitlines():
        kind, symbol = line.split()[-2:]
        assert kind != "U" or re.fullmatch(r"attn_\w+|memcpy|memset|_GLOBAL_OFFSET_TABLE_", symbol), line
    sections = run("readelf", "-SW", f"{name}.o").stdout.decode()
    for section, size, flags in re.findall(r"\] (\S+) +\w+ +\w+ \w+ (\w+) \w+ +(\w*)", sections):
        # .data.rel.ro holds addresses and is read-only once loaded
        assert "W" not in flags or int(size, 16) == 0 or section.startswith(".data.rel.ro"), section
    assert ".text" in sections
    # the header, strictly, as C and as C++
    with open("use.c", "w") as f:
        f.write(f'#include "{name}.h"\n#include "{name}.h"\nint main(void) {{ return !&{name}_forward; }}\n')
    include = [f"-I{source}/runtime", f"-I{dlpack}"]
    run(cc, "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-address", *include, "-c", "use.c", "-o", "use.o")
    if shutil.which("c++"):
        run("c++", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-Wno-address", *include, "-c", "use.c", "-o", "use.o")

# a shared library through ctypes and DLPack's structure


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


def tensor(a):
    shape = (ctypes.c_int64 * a.ndim)(*a.shape)
    return Tensor(a.ctypes.data, (ctypes.c_int32 * 2)(1, 0), a.ndim, 2, 32, 1, shape, None, 0)


rng = np.random.default_rng(3)
q, k, v = (rng.standard_normal((2, 3, 9, w)).astype(np.float32) for w in (8, 8, 5))
out = np.full((2, 3, 9, 5), np.nan, np.float32)
ctypes.CDLL(os.environ["LIBATTN"].removesuffix(".a") + ".so", mode=ctypes.RTLD_GLOBAL)
for name in ("quadratic", "softmax_causal"):
    kernel = ctypes.CDLL(os.path.abspath(f"{name}.so"))
    rc = getattr(kernel, f"{name}_forward")(*[ctypes.byref(tensor(x)) for x in (q, k, v, out)], None)
    s = q.astype(np.float64) @ k.swapaxes(2, 3)
    w = (s + 1) ** 2 if name == "quadratic" else np.exp(s / np.sqrt(8)) * np.tri(9)
    assert rc == 0 and np.allclose(out, w @ v / w.sum(-1, keepdims=True), rtol=1e-4, atol=1e-5), name

# usage: exit 2 and a hint; files: exit 3; the program: exit 1
for code, words in ((2, []), (2, ["quadratic.attn"]), (2, ["quadratic.attn", "-o", "x.foo"]), (2, ["quadratic.attn", "-o", "x"]),
                    (2, ["quadratic.attn", "--emit=foo"]), (2, ["quadratic.attn", "--nope"]), (2, ["quadratic.attn", "-o"]),
                    (2, ["quadratic.attn", "--emit=shared", "-o", "-"]), (2, ["quadratic.attn", "-O9", "-o", "y.o"]),
                    (2, ["quadratic.attn", "softmax_causal.attn", "-o", "y.o"]), (2, ["quadratic.attn", "--mcpu=foo", "-o", "y.o"]),
                    (2, ["quadratic.attn", "-D", "D", "-o", "y.o"]), (3, ["none.attn", "-o", "y.o"]), (3, [".", "-o", "y.o"]),
                    (3, ["quadratic.attn", "-o", "no/y.o"]), (1, ["quadratic.attn", "-D", "ZZ=3", "-o", "y.o"]),
                    (1, ["quadratic.attn", "--print-after=nope", "-o", "y.o"])):
    r = run(attnc, *words, code=code)
    assert r.stderr and (code != 2 or b"attnc --help" in r.stderr), words
assert not os.path.exists("y.o") and not [f for f in os.listdir(".") if re.search(r"\.(o|so|s|ll|h)\.", f)], os.listdir(".")
for words in (["--version"], ["--help"], ["--help-ops"], ["--help-passes"], ["run", "--help"], ["check", "--help"],
              ["explain", "--help"]):
    r = run(attnc, *words)
    assert r.stdout and not r.stderr, words
print("outputs as documented")
