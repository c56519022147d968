"""Checks docs/language.md and README.md against the compiler. Usage: ATTNC ROOT SCRATCH

Blocks marked ```attn must compile, those marked ```attn-error must fail with the message of their
`# expect:` line. The tables of statements and functions must name exactly the rows of
statements.def and functions.def."""
import os
import re
import subprocess
import sys

attnc, root, scratch = sys.argv[1:]
os.makedirs(scratch, exist_ok=True)
failures = []


def read(*path):
    with open(os.path.join(root, *path), encoding="utf-8") as f:
        return f.read()


def compile_block(kind, text, where):
    path = os.path.join(scratch, "program.attn")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    run = subprocess.run([attnc, path, "--emit=tiles"], capture_output=True, encoding="utf-8", timeout=60)
    if kind == "attn" and run.returncode != 0:
        failures.append(f"{where}: exit {run.returncode}\n{run.stderr}")
    if kind == "attn-error":
        expected = re.search(r"# expect: (.*)", text).group(1)
        if run.returncode != 1 or expected not in run.stderr:
            failures.append(f"{where}: expected '{expected}', exit {run.returncode}\n{run.stderr}")


def blocks(doc):
    """(kind, text, line) of every fenced program, and of README's one-screen example."""
    text = read(*doc)
    for m in re.finditer(r"^```(attn|attn-error)\n(.*?)^```", text, re.S | re.M):
        yield m.group(1), m.group(2), text.count("\n", 0, m.start()) + 1
    for m in re.finditer(r"^## The language in one screen\n\n((?:    .*\n|\n)*)", text, re.M):
        yield "attn", m.group(1), text.count("\n", 0, m.start()) + 1


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## )", text, re.S | re.M).group(1)


def compare(what, documented, defined):
    for name in sorted(documented ^ defined):
        failures.append(f"docs/language.md: {what} '{name}' is "
                        + ("not in the compiler" if name in documented else "not documented"))


programs = 0
for doc in (("docs", "language.md"), ("README.md",)):
    for kind, text, line in blocks(doc):
        programs += 1
        compile_block(kind, text, f"{'/'.join(doc)}:{line}")

language = read("docs", "language.md")
first_cells = lambda text: "\n".join(row.split("|")[1] for row in text.split("\n") if row.startswith("|"))
functions = set(re.findall(r"`(\w+)`", first_cells(section(language, "Functions"))))
compare("function", functions, set(re.findall(r"^FUNC\( (\w+)", read("frontend", "functions.def"), re.M)))
statements = section(language, "Statements")
words = set(re.findall(r"`(\w+)\b", first_cells(statements)))
compare("statement", words, set(re.findall(r'^STMT\( \w+,\s*"(\w+)"', read("frontend", "statements.def"), re.M)))

print("\n".join(failures) if failures else f"{programs} programs, 2 tables: as documented")
sys.exit(1 if failures else 0)
