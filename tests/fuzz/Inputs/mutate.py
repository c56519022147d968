"""Mutated .attn programs: the compiler must accept or refuse each (exit 0 or 1), quickly, whatever it reads.
Seeds are the examples and the programs of docs/language.md. Usage: ATTNC SOURCE WORKDIR SEED COUNT [SECONDS]"""
import os
import random
import re
import subprocess
import sys
import time

attnc, source, work, seed, count = sys.argv[1:6]
until = time.time() + float(sys.argv[6]) if len(sys.argv) > 6 else float("inf")
os.makedirs(work, exist_ok=True)
rng = random.Random(int(seed))
seeds = []
for name in sorted(os.listdir(f"{source}/examples")):
    if name.endswith(".attn"):
        seeds.append(open(f"{source}/examples/{name}", encoding="utf-8").read())
with open(f"{source}/docs/language.md", encoding="utf-8") as f:
    seeds += re.findall(r"^```attn(?:-error)?\n(.*?)^```", f.read(), re.M | re.S)
assert len(seeds) > 30
token = re.compile(r"#[^\n]*|[A-Za-z_Α-ω]\w*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[<>=!]=|\s+|.", re.S)
words = sorted({t for s in seeds for t in token.findall(s) if not t.startswith("#")})
words += ["1e308", "1e-400", "0", "-1", "99999999999999999999", "0.3333333333", "2147483648", "z", "b", "g", "n_q", "M",
          "G", "pow", "roll", "rope", "π", "sympow", "floor", "log", "max", "min", "?", ":", "²", "³", "√", "⊗", "≤", "\0", "\ufeff"]
modes = [["--emit=ast"], ["--emit=ir"], ["--emit=math"], ["--emit=tiles"], ["--emit=llvm", "-O0"], ["--check-each",
         "--emit=ir"], ["-D", "D=4", "--emit=tiles"], ["-o", "k.o", "-O0", "--mcpu=x86-64-v3"]]


def sort(word):
    return "name" if word[0].isalpha() or word[0] == "_" else "number" if word[0].isdigit() else word[0].isspace()


def mutate(text):
    t = token.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not t:
            return rng.choice(words)
        a, b = sorted(rng.randrange(len(t) + 1) for _ in range(2))
        kind = rng.randrange(9)
        if kind < 3: # another word, mostly of the same sort
            a %= len(t)
            like = [w for w in words if sort(w) == sort(t[a])] if rng.random() < 0.8 else words
            t[a] = rng.choice(like or words)
        elif kind == 3:
            t.insert(a, rng.choice(words))
        elif kind == 4:
            del t[a:min(b, a + 4)]
        elif kind == 5:
            t[a:a] = t[a:min(b, a + 12)] * rng.choice((1, 1, 2, 40))
        elif kind == 6:
            c = rng.randrange(len(t))
            t[a % len(t)], t[c] = t[c], t[a % len(t)]
        elif kind == 7:
            other = token.findall(rng.choice(seeds))
            c = rng.randrange(len(other))
            t[a:a] = other[c:c + rng.randrange(1, 20)]
        else:
            t[a:b] = ["("] + t[a:b] + [")"]
    return "".join(t)


os.chdir(work)
accepted = refused = bad = 0
for n in range(int(count)):
    if time.time() > until:
        break
    data = mutate(rng.choice(seeds)).encode()
    if rng.random() < 0.05 and data:
        k = rng.randrange(len(data))
        data = data[:k] + bytes([rng.randrange(256)]) + data[k + rng.randrange(2):]
    with open("m.attn", "wb") as f:
        f.write(data)
    mode = rng.choice(modes)
    try:
        r = subprocess.run([attnc, "m.attn", *mode], capture_output=True, timeout=60)
        code, err = r.returncode, r.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired:
        code, err = "timeout", ""
    accepted += code == 0
    refused += code == 1
    why = None
    if code not in (0, 1):
        why = f"exit {code}"
    elif code == 1 and "m.attn:" not in err:
        why = "refused without a place"
    elif code == 0 and ": error:" in err:
        why = "accepted in spite of an error"
    if why:
        bad += 1
        with open(f"bad{bad}.attn", "wb") as f:
            f.write(data)
        print(f"{work}/bad{bad}.attn: {' '.join(mode)}: {why}: {err[-1500:]}", flush=True)
assert accepted and refused
print(f"{accepted} accepted, {refused} refused, {bad} bad")
sys.exit(bad > 0)
