"""Tables of what was measured, as Markdown and as JSON."""
import json
import os

TITLES = {
    "W1": "W1: softmax", "W2": "W2: causal softmax", "W3": "W3: ALiBi, soft-capping, a window",
    "W4": "W4: (s + 1)², full, against n", "W5": "W5: (s + 1)², causal, against n",
    "W6": "W6: features elu + 1", "W7": "W7: one token",
    "W10": "W10: time to compile; the size of the object",
}
HEAD = """# attnc beside other systems

Milliseconds, medians; in brackets the ratio to the fastest column of attnc in the same line: above
1, attnc is faster. All columns of a line were measured in turns in one run, after their outputs
were found equal to the first column's within the line's tolerance (largest error relative to the
largest output). "of peak" is what the fastest column of attnc reaches of the rate of multiply-adds
in registers, measured in the same rounds; FLOPs are those of the algorithm that ran.
"""


def best(point):
    """The least time of attnc's own sides, or None."""
    times = [s["ms"] for s in point["sides"].values() if s["ours"] and s["ms"]]
    return min(times) if times else None


def number(ms):
    """Milliseconds with three digits."""
    if ms >= 100:
        return f"{ms:,.0f}"
    return f"{ms:.2f}" if ms >= 1 else f"{ms:.4f}" if ms < 0.1 else f"{ms:.3f}"


def cell(side, base):
    """One column of one line."""
    if side is None:
        return ""
    if side["ms"] is None:
        return side["note"] or "not measured"
    size = f", {side['bytes'] / 1024:.0f} KiB" if side.get("bytes") else ""
    if side["ours"] or not base:
        return number(side["ms"]) + size
    return f"{number(side['ms'])} ({side['ms'] / base:.2f})"


def fraction(point):
    """The part of the peak that the fastest of ours reaches."""
    ours = [(s["ms"], s) for s in point["sides"].values() if s["ours"] and s["ms"]]
    if not ours or not point["peak"]:
        return ""
    ms, side = min(ours, key=lambda pair: pair[0])
    return f"{100 * side['flops'] / (1e-3 * ms) / point['peak']:.0f} %"


def table(points):
    """The lines of one row; columns that no point has are not there."""
    names = []
    for point in points:
        names += [name for name in point["sides"] if name not in names]
    names.sort(key=lambda name: not name.startswith("attnc"))
    timed = points[0]["row"] != "W10"
    head = ["attention"] + ["n", "threads"] * timed + names + ["of peak", "tolerance"] * timed
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for point in points:
        base = best(point)
        cells = [point["label"]]
        if timed:
            cells += [str(point["n"]), str(point["threads"])]
        cells += [cell(point["sides"].get(name), base) for name in names]
        if timed:
            cells += [fraction(point), f"{point['tolerance']:.0e}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(versions, points, problems):
    """The whole report."""
    parts = [HEAD, "| | |\n|---|---|\n" +
             "\n".join(f"| {k} | {v} |" for k, v in versions.items())]
    for row, title in TITLES.items():
        chosen = [p for p in points if p["row"] == row]
        if chosen:
            chosen.sort(key=lambda p: p["threads"])
            parts.append(f"## {title}\n\n{table(chosen)}")
    if problems:
        parts.append("## What went wrong\n\n" + "\n".join(f"- {p}" for p in problems))
    return "\n\n".join(parts) + "\n"


def write(out, versions, points, problems):
    """peers.md and peers.json in the folder out."""
    with open(os.path.join(out, "peers.md"), "w", encoding="utf-8") as f:
        f.write(markdown(versions, points, problems))
    with open(os.path.join(out, "peers.json"), "w", encoding="utf-8") as f:
        json.dump({"versions": versions, "points": points, "problems": problems}, f, indent=1,
                  ensure_ascii=False)
