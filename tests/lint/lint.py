"""What no compiler checks: test directives, include directions, line lengths, leftovers. Usage: ROOT"""
import os
import re
import sys

root = sys.argv[1]
errors = []
rooms = {"frontend": {"frontend", "ir"}, "passes": {"passes", "ir"}, "codegen": {"codegen", "ir", "runtime"},
         "ir": {"ir", "runtime"}, "runtime": {"runtime"}}
for folder, _, files in os.walk(root):
    rel = os.path.relpath(folder, root)
    if rel.startswith((".git", "build")):
        continue
    for name in files:
        path = os.path.join(rel, name)
        try:
            text = open(os.path.join(folder, name), encoding="utf-8").read()
        except UnicodeDecodeError:
            continue
        lines = text.split("\n")
        room = rel.split(os.sep)[0]
        if name.endswith((".c", ".h", ".l", ".y")):
            for k, line in enumerate(lines, 1):
                if len(line) > (100 if name.endswith((".c", ".h")) else 130):
                    errors.append(f"{path}:{k}: {len(line)} columns")
                if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                    errors.append(f"{path}:{k}: left for later")
                m = re.match(r'#include "(\w+)/', line)
                driver = rel.startswith("frontend/driver") or path == "frontend/attnc.c"
                if m and room in rooms and not driver and m.group(1) not in rooms[room]:
                    errors.append(f"{path}:{k}: {room} must not include {m.group(1)}")
                if "<llvm" in line and room != "codegen" and room != "tests":
                    errors.append(f"{path}:{k}: only codegen sees LLVM")
            if len(lines) > 700:
                errors.append(f"{path}: {len(lines)} lines: split it by job")
            start = 0
            for k, line in enumerate(lines, 1):
                start = k if line == "{" else start
                if line == "}" and start and k - start > 60 and name.endswith(".c"):
                    errors.append(f"{path}:{start}: a function of {k - start} lines")
            if room == "ir" and rel == "ir/base" and re.search(r'#include "ir/[^b]', text):
                errors.append(f"{path}: ir/base includes the IR")
        if room == "tests" and "install" not in rel and name.endswith((".attn", ".test", ".air")):
            if "RUN:" not in text:
                errors.append(f"{path}: no RUN line")
            for k, line in enumerate(lines, 1):
                if re.search(r"\bRUN\b(?!:)", line) or re.search(r"\bCHECK(-\w+)? ", line):
                    errors.append(f"{path}:{k}: a directive without its colon")
                m = re.search(r"\bCHECK-(\w+)", line)
                if m and m.group(1) not in ("NEXT", "NOT", "DAG", "LABEL", "SAME", "COUNT", "EMPTY"):
                    errors.append(f"{path}:{k}: unknown directive CHECK-{m.group(1)}")
print("\n".join(errors))
print(f"{0 if errors else 1} passed, {len(errors)} failed")
sys.exit(1 if errors else 0)
