"""Arrays that `attnc run` must refuse: which tensor, what is wrong, the documented exit code, and the output file
as it was before. Usage: ATTNC WORKDIR"""
import os
import struct
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
with open("p.attn", "w") as f:
    f.write("param bias[H, n];\nparam tau;\nparam shift = 0;\nsim = exp(q·k / tau + bias[h, j] + shift);\n")
B, H, G, NQ, N, D, M = 2, 4, 2, 3, 5, 6, 7
rng = np.random.default_rng(1)
shapes = {"q": (B, H, NQ, D), "k": (B, G, N, D), "v": (B, G, N, M), "bias": (H, N)}
data = {t: rng.standard_normal(s).astype(np.float32) for t, s in shapes.items()}
for t in data:
    np.save(t + ".npy", data[t])
checked = 0


def run(*words, out="out.npy", drop=()):
    given = {t: t + ".npy" for t in data} | {"tau": "2"}
    given.update(w.split("=", 1) for w in words)
    args = [f"{t}={v}" for t, v in given.items() if t not in drop]
    return subprocess.run([attnc, "run", "p.attn", *args, "-O0", "-o", out], capture_output=True, timeout=60)


def refused(code, want, *words, out="out.npy", drop=()):
    """The run fails with this exit code and message; an older output stays, no other file appears."""
    global checked
    with open("out.npy", "wb") as f:
        f.write(b"older")
    before = sorted(os.listdir("."))
    r = run(*words, out=out, drop=drop)
    err = r.stderr.decode()
    assert r.returncode == code and want in err and r.stdout == b"", (want, words, r.returncode, err)
    assert sorted(os.listdir(".")) == before and open("out.npy", "rb").read() == b"older", (words, out)
    checked += 1


def saved(array, name="bad.npy"):
    np.save(name, array)
    return name


def raw(content, name="bad.npy"):
    with open(name, "wb") as f:
        f.write(content)
    return name


def header(text, data=b"", length=None, version=1):
    text = text.encode() + b"\n"
    n = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", n) + text + data


# the arrays as they are give the formula's result, in any memory order and .npy version
r = run()
assert r.returncode == 0 and r.stderr == b"", r.stderr
first = np.load("out.npy")
k, v = (np.repeat(data[t].astype(np.float64), H // G, axis=1) for t in "kv")
w = np.exp(data["q"].astype(np.float64) @ k.swapaxes(2, 3) / 2 + data["bias"][None, :, None, :])
assert np.allclose(first, w @ v / w.sum(-1, keepdims=True), rtol=1e-5, atol=1e-6)
saved(np.asfortranarray(data["k"]))
saved(np.asfortranarray(data["bias"]), "bad2.npy")
assert run("k=bad.npy", "bias=bad2.npy").returncode == 0 and np.array_equal(np.load("out.npy"), first)
for version in ((2, 0), (3, 0)):
    with open("bad.npy", "wb") as f:
        np.lib.format.write_array(f, data["q"], version=version)
    assert run("q=bad.npy").returncode == 0 and np.array_equal(np.load("out.npy"), first)
checked += 3

for t in data:
    b = f"{t}=bad.npy"
    saved(data[t].astype(np.float64))
    refused(1, f"{t}: bad.npy holds float64, expected float32", b)
    saved(data[t].astype(np.int32))
    refused(1, f"{t}: bad.npy holds int32, expected float32", b)
    for other in (np.float16, np.complex64, np.bool_, np.uint8):
        saved(data[t].astype(other))
        refused(1, f"{t}: bad.npy has an element type other than", b)
    saved(data[t].astype(">f4"))
    refused(1, f"{t}: bad.npy is big-endian", b)
    saved(np.array([None]))
    refused(1, f"{t}: bad.npy has an element type other than", b)
    saved(np.zeros(3, [("x", "<f4")]))
    refused(1, f"{t}: bad.npy has no element type", b)
    whole = open(t + ".npy", "rb").read()
    raw(whole[:-1])
    refused(1, f"{t}: bad.npy is truncated: its data", b)
    raw(whole[:60])
    refused(1, f"{t}: bad.npy is truncated inside its header", b)
    for cut in (0, 5, 9):
        raw(whole[:cut])
        refused(1, f"{t}: bad.npy is not a .npy file", b)
    raw(b"\x94" + whole[1:])
    refused(1, f"{t}: bad.npy is not a .npy file", b)
    raw(whole[:6] + b"\x09" + whole[7:])
    refused(1, f"{t}: bad.npy has an unknown .npy version", b)
    refused(3, f"{t}: no.npy: No such file or directory", f"{t}=no.npy")
    refused(3, f"{t}: .: Is a directory", f"{t}=.")
    refused(2, f"input {t} is missing: give {t}=FILE.npy", drop=(t,))

good = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"
for text, want in ((good % "(2, 4, 3, 6)", "is truncated: its data"), (good % "(-1,)", "has an unreadable shape"),
                   (good % "(2, 4", "has an unreadable shape"), (good % "3", "has no shape"),
                   (good % "(99999999999999999999,)", "has an absurd shape"),
                   (good % "(4294967296, 4294967296)", "has an absurd shape"),
                   (good % "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "has more than 8 axes"),
                   ("{'descr': '<f4', 'shape': (1,), }", "has no memory order"),
                   ("{'fortran_order': False, 'shape': (1,), }", "has no element type"),
                   ("{'descr'", "has no element type"), ("", "has no element type"), ("\0" * 50, "has no element type")):
    raw(header(text))
    refused(1, f"q: bad.npy {want}", "q=bad.npy")
for version, length in ((1, 65535), (2, 0xFFFFFFFF), (3, 0x7FFFFFFF)):
    raw(header(good % "(1,)", b"\0" * 4, length, version))
    refused(1, "q: bad.npy is truncated inside its header", "q=bad.npy")

for t in data:
    for wrong in (data[t][None], data[t][0], data[t].reshape(-1), np.float32(1)):
        saved(wrong)
        rank = np.ndim(wrong)
        refused(1, f"{t}: has {rank} axes, expected {data[t].ndim}", f"{t}=bad.npy")
# every axis one too long: the message names the tensor, the axis and both numbers
for t, axis, want in (("k", 0, "k: shape[0] is 3, expected B = 2"), ("k", 1, "v: shape[1] is 2, expected G = 3 as in k"),
                      ("k", 3, "k: shape[3] is 7, expected D = 6"), ("v", 0, "v: shape[0] is 3, expected B = 2"),
                      ("v", 1, "v: shape[1] is 3, expected G = 2"), ("v", 2, "v: shape[2] is 6, expected n = 5"),
                      ("bias", 0, "bias: shape[0] is 5, expected H = 4"),
                      ("bias", 1, "bias: shape[1] is 6, expected n = 5")):
    s = list(shapes[t])
    s[axis] += 1
    saved(np.ones(s, np.float32))
    refused(1, want, f"{t}=bad.npy")

saved(np.ones((B, 3, N, D), np.float32))
saved(np.ones((B, 3, N, M), np.float32), "bad2.npy")
refused(1, "k: shape[1] is 3, must divide the number of query heads 4", "k=bad.npy", "v=bad2.npy")

refused(2, "input tau is missing and has no default: give tau=NUMBER", drop=("tau",))
refused(2, "tau is 'x', must be a number", "tau=x")
refused(2, "tau is '', must be a number", "tau=")
refused(2, "tau is '1;', must be a number", "tau=1;")
refused(2, "'gamma' is no input of p; its inputs are q, k, v, bias, tau, shift", "gamma=1")
refused(2, "'out' is no input of p", "out=q.npy")
refused(2, "'' is no input of p", "=q.npy")
refused(3, "no/out.npy: No such file or directory", out="no/out.npy")
refused(3, "q.npy/out.npy: Not a directory", out="q.npy/out.npy")
refused(3, ".: Is a directory", out=".")
if os.path.exists("/dev/full"):
    refused(3, "/dev/full: No space left on device", out="/dev/full")
r = subprocess.run([attnc, "run", "p.attn", "q=q.npy", "q=q.npy", "-o", "o"], capture_output=True)
assert r.returncode == 2 and b"q is given twice" in r.stderr, r.stderr
r = subprocess.run([attnc, "run", "p.attn", "q=q.npy"], capture_output=True)
assert r.returncode == 2 and b"run needs -o OUT.npy" in r.stderr, r.stderr
if os.geteuid() != 0:
    os.chmod("bad.npy", 0)
    refused(3, "q: bad.npy: Permission denied", "q=bad.npy")
    os.chmod("bad.npy", 0o644)
print("refusals as documented" if checked > 120 else f"only {checked} cases")
