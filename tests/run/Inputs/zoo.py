"""Compares `attnc zoo` with the files of examples/. Usage: ATTNC EXAMPLES"""
import json
import os
import subprocess
import sys

attnc, examples = sys.argv[1:]
names = sorted(f[:-5] for f in os.listdir(examples) if f.endswith(".attn"))


def zoo(*words):
    run = subprocess.run([attnc, "zoo", *words], capture_output=True)
    return run.returncode, run.stdout


texts = {}
for name in names:
    with open(f"{examples}/{name}.attn", "rb") as f:
        texts[name] = f.read()
    assert zoo("show", name) == (0, texts[name]), name
titles = {name: text.decode().split("\n")[0] for name, text in texts.items()}
for name, title in titles.items():
    assert title.startswith("# ") and title.endswith("."), f"{name}: the first line must be one sentence, the title"
code, listed = zoo("--json")
assert code == 0 and json.loads(listed)["examples"] == [{"name": n, "title": titles[n][2:]} for n in names]
code, lines = zoo()
assert code == 0
assert [line.split(maxsplit=1) for line in lines.decode().splitlines()] == [[n, titles[n][2:]] for n in names]
assert zoo("show", "softmx")[0] == 1 and zoo("show")[0] == 2 and zoo("show", "gqa", "mqa")[0] == 2
print(len(names), "examples: as in the files")
