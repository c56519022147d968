"""Compares docs/zoo.md with examples/ and with what the compiler derives. Usage: ATTNC ROOT"""
import json
import os
import re
import subprocess
import sys

attnc, root = sys.argv[1:]
SIGNS = {None: "none", "positive": "> 0", "nonnegative": ">= 0", "any": "any sign", "unknown": "unknown"}
failures = []


def ask(command, path):
    run = subprocess.run([attnc, command, "--json", path], capture_output=True, encoding="utf-8", check=True)
    return json.loads(run.stdout)


def derived(path):
    why = ask("explain", path)
    row = next(r for r in ask("cost", path)["programs"] if r["entry"] == "forward" and r["form"] != "direct")
    return (f"schedule: {why['schedule']}; features: {why['features'] or 'none'}; row sum: {SIGNS[why['row_sum']]}; "
            f"step: {why['step'] or 'none'}; time: {row['flops']['theta']}")


with open(os.path.join(root, "docs", "zoo.md"), encoding="utf-8") as f:
    sections = re.findall(r"^### (\w+)\n\n> ([^\n]*)\n\n(.*?)\n(?=\n#|\Z)", f.read(), re.S | re.M)
examples = [f[:-5] for f in os.listdir(os.path.join(root, "examples")) if f.endswith(".attn")]
names = [name for name, _, _ in sections]
for name in sorted(set(names) ^ set(examples)):
    failures.append(f"{name}: " + ("no such example" if name in names else "no section in docs/zoo.md"))
if len(names) != len(set(names)):
    failures.append("a section twice")
for name, said, text in sections:
    if name not in examples:
        continue
    is_ = derived(os.path.join(root, "examples", name + ".attn"))
    if said != is_:
        failures.append(f"{name}: docs/zoo.md says\n  {said}\nbut it is\n  {is_}")
    if len(text) < 40:
        failures.append(f"{name}: no paragraph")
print("\n".join(failures) if failures else f"{len(names)} sections: as derived")
sys.exit(1 if failures else 0)
