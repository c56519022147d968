"""Mutations of valid .air texts of both IRs must be compiled or refused: exit 0 or 1, never a crash, leak or hang.
Usage: ATTNC EXAMPLES TEMP COUNT"""
import os
import random
import re
import subprocess
import sys

attnc, examples, temp, count = sys.argv[1:]
os.makedirs(temp, exist_ok=True)
rng = random.Random(7)
texts = []
for name in ("quadratic", "softmax_causal", "rbf", "alibi"):
    source = os.path.join(examples, name + ".attn")
    for stage in ("--stop-after=shapes", "--emit=tiles", "--emit=tiles"):
        texts.append(subprocess.run([attnc, source, stage], capture_output=True, encoding="utf-8", check=True).stdout)
token = re.compile(r"[%$]?\w+|[^\s\w]")


def mutate(text):
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        k, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        words = list(token.finditer(lines[k]))
        kind = rng.randrange(7)
        if kind == 0:
            del lines[k]
        elif kind == 1:
            lines[k], lines[other] = lines[other], lines[k]
        elif kind == 2:
            lines.insert(other, lines[k])
        elif words:
            w = rng.choice(words)
            donors = token.findall(lines[other]) or ["0"]
            new = {3: "", 4: rng.choice(donors), 5: rng.choice(("0", "-1", "9999999999999", "q", "out", "none", "%1", "$1", "1")),
                   6: w.group() + " " + w.group()}[kind]
            lines[k] = lines[k][:w.start()] + new + lines[k][w.end():]
        if len(lines) < 2:
            return text
    return "\n".join(lines)


failed, codes = [], {0: 0, 1: 0}
path = os.path.join(temp, "mutant.air")
for n in range(int(count)):
    text = mutate(rng.choice(texts))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    code = n % 10 == 0
    args = ["--emit=llvm", "-O0", "--mcpu=x86-64-v2"] if code else ["--emit=tiles"]
    try:
        run = subprocess.run([attnc, path, *args], capture_output=True, timeout=20)
        rc, err = run.returncode, run.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired:
        rc, err = "timeout", ""
    if rc not in codes or (rc == 1 and "error: " not in err):
        keep = os.path.join(temp, f"failed-{n}.air")
        os.replace(path, keep)
        failed.append(f"{keep}: {rc}: {err[-300:]}")
    else:
        codes[rc] += 1
print("\n".join(failed))
print(f"{codes[0]} compiled, {codes[1]} refused, {len(failed)} failed")
sys.exit(1 if failed or not codes[0] or not codes[1] else 0)
