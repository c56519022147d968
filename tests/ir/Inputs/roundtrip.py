"""Every example through its textual forms: axis IR after every pass and tile program, under several types, sizes and
tile extents. Text must read back to itself, and a tile program must compile to the object of its source.
Usage: ATTNC EXAMPLES TEMP"""
import glob
import os
import subprocess
import sys

attnc, examples, temp = sys.argv[1:]
os.makedirs(temp, exist_ok=True)
passes = [line.split()[0] for line in subprocess.run([attnc, "--help-passes"], capture_output=True, encoding="utf-8",
                                                     check=True).stdout.splitlines() if line]
passed, failed = 0, []


def attnc_run(*args):
    run = subprocess.run([attnc, *args], capture_output=True, timeout=120)
    if run.returncode:
        failed.append(f"{' '.join(args)}: exit {run.returncode}: {run.stderr.decode()[:400]}")
        return None
    return run.stdout


def compare(what, a, b):
    global passed
    if a is None or b is None or a != b:
        failed.append(f"{what}: differ")
    else:
        passed += 1


def reread(text, *args):
    path = os.path.join(temp, "text.air")
    with open(path, "wb") as f:
        f.write(text)
    return attnc_run(path, *args)


def axis_ir(path, *options):
    for p in passes:
        text = attnc_run(path, f"--stop-after={p}", *options)
        if text:
            compare(f"{path} {options} after {p}", text, reread(text, "--emit=ir", "--passes="))


def tiles(path, options, tuning, object_too):
    text = attnc_run(path, "--emit=tiles", *options, *tuning)
    if not text:
        return
    compare(f"{path} {options} {tuning} tiles", text, reread(text, "--emit=tiles"))
    if object_too:
        straight = attnc_run(path, "--emit=obj", "-o", "-", "--mcpu=x86-64-v3", *options, *tuning)
        compare(f"{path} {options} {tuning} object", straight, reread(text, "--emit=obj", "-o", "-", "--mcpu=x86-64-v3"))


sources = [s for s in sorted(glob.glob(os.path.join(examples, "*.attn")))  # stages are no input again
           if '"stages"' not in subprocess.run([attnc, "explain", "--json", s], capture_output=True, text=True).stdout]
for k, source in enumerate(sources):
    double = os.path.join(temp, os.path.basename(source))
    with open(source, encoding="utf-8") as f, open(double, "w", encoding="utf-8") as g:
        g.write(("state f64;\n" if k % 2 else "type f64;\n") + f.read().replace("type f32;", ""))
    sizes = ("-D", "n=96", "-D", "M=24") if "D =" in open(source, encoding="utf-8").read() else ("-D", "D=40", "-D", "M=16")
    both = "kernelize auto" in open(source, encoding="utf-8").read()  # tiles as text are of the kernelized form alone
    axis_ir(source)
    axis_ir(double, *sizes)
    tiles(source, (), (), not both)
    tiles(double, sizes, (), False)
    tiles(source, sizes, ("--query-tile=48", "--key-tile=7", "--chunk=5", "--feature-block=6"), not both)
    tiles(source, (), ("--query-tile=16", "--key-tile=1", "--chunk=1", "--feature-block=1"), False)
print("\n".join(failed))
print(f"{passed} passed, {len(failed)} failed")
sys.exit(1 if failed or len(sources) < 10 else 0)
