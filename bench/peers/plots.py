"""Pictures by gnuplot: time against n, and ratios to the peers as bars."""
import os
import shutil
import subprocess

from report import best

STYLE = """set terminal svg size {size} dynamic font "sans,12" background "white"
set output "{out}"
set grid lc rgb "#dddddd"
"""
# attnc is red, its pair-by-pair form dashed; peers have the other colours.
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22",
           "#17becf")


def quoted(text):
    """A string for gnuplot that is taken as it is."""
    return '"' + text.replace("\\", "\\\\").replace('"', "'").replace("_", "\\\\_") + '"'


def draw(script, out):
    """Runs gnuplot; the script stays beside the picture."""
    with open(out + ".gp", "w", encoding="utf-8") as f:
        f.write(script)
    if shutil.which("gnuplot"):
        subprocess.run(["gnuplot", out + ".gp"], check=False)


def curves(points, row, threads, out):
    """Time of every side against n, log-log."""
    chosen = [p for p in points if p["row"] == row and p["threads"] == threads]
    names = []
    for point in chosen:
        names += [name for name in point["sides"] if name not in names]
    blocks, plots = [], []
    for name in names:
        data = [(p["n"], p["sides"][name]["ms"]) for p in chosen
                if name in p["sides"] and p["sides"][name]["ms"]]
        if data:
            k = len(blocks)
            blocks.append(f"$d{k} << EOD\n" + "\n".join(f"{n} {ms}" for n, ms in data) + "\nEOD\n")
            line = f'lw 1.5 lc rgb "{COLOURS[k % len(COLOURS)]}"'
            if name.startswith("attnc"):
                line = f'lw 3 lc rgb "#d62728" dt {2 if "direct" in name else 1}'
            plots.append(f"$d{k} with linespoints {line} pt 7 ps 0.6 title {quoted(name)}")
    ticks = sorted({p["n"] for p in chosen})
    if not plots or len(ticks) < 2:
        return
    plural = "" if threads == 1 else "s"
    title = f"{chosen[0]['label']}, {threads} thread{plural}"
    script = STYLE.format(size="900,560", out=out) + "".join(blocks) + f"""set logscale xy
set xlabel "n"
set xtics ({", ".join(str(n) for n in ticks)})
set xrange [{0.8 * ticks[0]}:{1.25 * ticks[-1]}]
set ylabel "ms"
set key outside right
set title {quoted(title)}
plot {", ".join(plots)}
"""
    draw(script, out)


def bars(points, threads, out):
    """How many times as long as attnc the fastest peer of every point takes, and the slowest."""
    lines = []
    for point in points:
        base = best(point)
        peers = [(s["ms"] / base, name) for name, s in point["sides"].items()
                 if not s["ours"] and s["ms"]] if base else []
        if point["threads"] == threads and point["row"] != "W10" and peers:
            label = f"{point['row']} {point['label']}, n {point['n']}: {min(peers)[1]}"
            lines.append(f"{quoted(label)} {min(peers)[0]} {max(peers)[0]}")
    if not lines:
        return
    lines.reverse()
    plural = "" if threads == 1 else "s"
    title = f"Time of the fastest peer (bar) and the slowest (dot) over attnc's, {threads} thread"
    script = STYLE.format(size=f"1100,{120 + 30 * len(lines)}", out=out) + f"""$d << EOD
{chr(10).join(lines)}
EOD
set logscale x
set label 1 {quoted(title + plural)} at screen 0.5, screen 1 offset 0,-1.2 center
set tmargin 3
set xlabel "ratio"
set yrange [-0.7:{len(lines) - 0.3}]
set style fill solid 0.7
unset key
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb "#aa0000" front
plot $d using (sqrt($2)):0:(($2 < 1) ? $2 : 1):(($2 < 1) ? 1 : $2):($0 - 0.3):($0 + 0.3):ytic(1) \\
     with boxxyerror lc rgb "#3a6ea5", $d using 3:0 with points pt 7 ps 0.7 lc rgb "#888888"
"""
    draw(script, out)


def write(out, points):
    """All pictures in the folder out."""
    for threads in sorted({p["threads"] for p in points}):
        for row in ("W4", "W5"):
            curves(points, row, threads, os.path.join(out, f"peers_{row}_{threads}t.svg"))
        bars(points, threads, os.path.join(out, f"peers_ratios_{threads}t.svg"))
