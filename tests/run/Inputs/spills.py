"""The innermost loops of the micro-kernels keep everything in registers.

    spills.py ATTNC EXAMPLES

Assembly of programs that use every micro-kernel, for every instruction set. Of each function that
is one, the loops that multiply and add vectors at least four times are looked at, those without a
loop inside and, of the scans, those with one inside, over the heads: none may move a vector to or
from the stack, and the innermost may not touch the stack at all. Prints a line per function: NAME LOOPS loops, N FMA.
"""
import re
import subprocess
import sys

attnc, examples = sys.argv[1:]
KERNELS = {"matmul": 0, "dots": 0, "scan": 1, "scansum": 1}   # loops in the loops looked at
LEAST = 4           # multiply-adds that make a loop worth looking at
STACK = {"x86_64": r"\(%rsp", "aarch64": r"\[sp"}
MULTIPLY = {"x86_64": re.compile(r"\s(vfmadd\w+ps|mulps)\s"), "aarch64": re.compile(r"\sfmla\s")}


def functions(text):
    """name -> lines, of the functions in an assembly file"""
    found, name = {}, None
    for line in text.splitlines():
        start = re.match(r"([\w.]+):", line)
        if start and not start[1].startswith(".L"):
            name = start[1]
            found[name] = []
        elif name and re.match(r"\s*\.size\s", line):
            name = None
        elif name:
            found[name].append(line)
    return found


def loops_of(lines, inside):
    """the loops of a function with at most so many levels of loops inside"""
    label = {m[1]: k for k, line in enumerate(lines) if (m := re.match(r"(\.L\w+):", line))}
    ends = {}
    for k, line in enumerate(lines):
        jump = re.match(r"\s+(?:j\w+|b\S*|cb\w+|tb\w+)\s.*?(\.L\w+)", line)
        if jump and label.get(jump[1], k) < k:
            ends[label[jump[1]]] = max(k, ends.get(label[jump[1]], 0))

    def levels(a, b):
        within = [levels(c, d) for c, d in ends.items() if a < c and d <= b]
        return 1 + max(within) if within else 0

    return [(lines[a:b + 1], levels(a, b)) for a, b in ends.items() if levels(a, b) <= inside]


def look(arch, name, lines):
    loops = [(loop, inside) for loop, inside in loops_of(lines, KERNELS[name.split(".")[0]])
             if sum(bool(MULTIPLY[arch].search(x)) for x in loop) >= LEAST]
    assert loops, f"{name}: no loop multiplies"
    frame = any(re.search(r"movq\s+%rsp, %rbp|\s(mov|add)\s+x29, sp", x) for x in lines)
    stack = re.compile(STACK[arch] + (r"|\(%rbp|\[x29" if frame else ""))
    for loop, inside in loops:
        bad = [x.strip() for x in loop
               if stack.search(x) and (not inside or re.search(r"%[xyz]mm|\b[qv]\d", x))]
        assert not bad, f"{name}: the stack in a loop: {bad[:3]}\n" + "\n".join(loop)
    return len(loops), max(sum(bool(MULTIPLY[arch].search(x)) for x in loop) for loop, _ in loops)


for arch, target in (("x86_64", "x86_64-linux-gnu"), ("aarch64", "aarch64-linux-gnu")):
    seen = {}
    for program in ("quadratic_causal", "elu_causal", "softmax"):
        run = subprocess.run([attnc, f"{examples}/{program}.attn", f"--target={target}",
                              "--emit=asm", "-o", "-"],
                             capture_output=True, encoding="utf-8", check=True)
        for name, lines in functions(run.stdout).items():
            if name.split(".")[0] in KERNELS and name not in seen:
                seen[name] = look(arch, name, lines)
    for name, (loops, most) in sorted(seen.items()):
        print(f"{name} {loops} loops, at most {most} multiply-adds")
