"""attnc bench: what it prints is what its schema says, Ctrl-C keeps what was measured, plots are pictures. How long
things take is nobody's business here. Usage: ATTNC EXAMPLES WORKDIR"""
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import xml.dom.minidom

attnc, examples, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
quadratic, softmax, causal = (f"{examples}/{x}.attn" for x in ("quadratic", "softmax", "quadratic_causal"))


def bench(*words, code=0, env=None):
    run = subprocess.run([attnc, "bench", *words], capture_output=True, encoding="utf-8", timeout=300, env=env)
    assert run.returncode == code, (words, run.returncode, run.stdout, run.stderr)
    return run


def schema(text):
    r = json.loads(text)
    assert set(r) == {"machine", "interrupted", "results", "fits", "crossovers"}
    assert set(r["machine"]) == {"cpu", "threads", "peak_gflops"} and r["machine"]["peak_gflops"] > 0
    for x in r["results"]:
        assert set(x) == {"name", "n", "median_s", "least_s", "gflops", "peak_fraction", "flops", "code_flops", "rounds"}
        assert 0 < x["least_s"] <= x["median_s"] and x["rounds"] > 0 and x["peak_fraction"] > 0
        assert abs(x["gflops"] * 1e9 * x["median_s"] / x["flops"] - 1) < 1e-6
    for x in r["fits"]:
        assert set(x) == {"name", "exponent", "predicted", "note"}
    for x in r["crossovers"]:
        assert set(x) == {"a", "b", "n", "predicted"}
    return r


small = ["--n=64:256", "--rounds=3", "--at", "D=16,H=2"]
r = schema(bench(quadratic, softmax, "--json", *small).stdout)
assert [(x["name"], x["n"]) for x in r["results"]] == [(p, n) for p in ("quadratic", "softmax") for n in (64, 128, 256)]
assert [x["predicted"] for x in r["fits"]] == [1, 2] and all(x["exponent"] for x in r["fits"])
costs = json.loads(subprocess.run([attnc, "cost", softmax, "--json", "--at", "D=16,H=2,n=128"], capture_output=True,
                                  check=True).stdout)
assert r["results"][4]["flops"] == costs["programs"][0]["flops"]["value"]
r = schema(bench(causal, "--direct", "--json", *small).stdout)
assert [x["name"] for x in r["fits"]] == ["quadratic_causal", "quadratic_causal direct"]
assert [x["predicted"] for x in r["fits"]] == [1, 2]
rows = list(csv.reader(io.StringIO(bench(softmax, "--csv", *small).stdout)))
assert rows[0] == ["name", "n", "median_s", "least_s", "gflops", "peak_fraction", "rounds"] and len(rows) == 4
assert all(float(x[2]) > 0 and x[0] == "softmax" for x in rows[1:])
text = bench(quadratic, softmax, *small).stdout
assert "time grows as" in text and "of peak" in text and "fewer FLOPs from n = " in text
one = schema(bench(softmax, "--json", "--n=100", "--rounds=1", "--threads=2", "-D", "D=8").stdout)
assert one["machine"]["threads"] == 2 and len(one["results"]) == 1 and one["fits"][0]["exponent"] is None

with open("auto.attn", "w", encoding="utf-8") as f:
    f.write("sim = (q·k + 1)^2; kernelize auto;")
run = bench("auto.attn", "--calibrate", "--n=64:256", "--rounds=3", "--at", "D=8", "--json")
rates = json.loads(run.stdout).pop("rates")
assert sorted(rates) == ["linear", "stream"] and all(1 <= x <= 1000000 for x in rates.values()), rates
assert [x["name"] for x in json.loads(run.stdout)["fits"]] == ["auto", "auto kernelized", "auto direct"]
text = bench("auto.attn", "--calibrate", "--n=64:256", "--rounds=3", "--at", "D=8").stdout
assert "--rates=stream:" in text
os.remove("auto.attn")

# what does not go is said, and nothing is measured
for words, want in (((softmax, "--n=0"), "--n needs"), ((softmax, "--n=4:2"), "--n needs"), ((softmax, "--n=1:100000:1"), "--n"),
                    ((softmax, "--json", "--csv"), "one of them"), ((softmax, "--plot=x.gif"), ".svg, .png or .pdf"),
                    ((softmax, "--plot", "--json"), "--plot as text"), ((softmax, "--at", "Q=3"), "'Q'"),
                    ((softmax, "-D", "n=64", "--n=128"), "fixes n = 64"), ((softmax, "--at", "n=64"), "those of --n"),
                    ((softmax, "--plot=nowhere/x.svg"), "no file can be made there"), ((softmax, "--rounds=100000"), "at most")):
    run = bench(*words, code=2)
    assert want in run.stderr and run.stdout == "", (words, run.stderr)

assert "nothing was measured" in bench(softmax, "--n=64:128", "--at", "D=0", code=1).stderr
with open("wide.attn", "w", encoding="utf-8") as f:
    f.write("type f64; sim = exp(q·k / sqrt(D));")
r = schema(bench("wide.attn", softmax, "--json", "--n=256", "--rounds=3").stdout)
for x in r["results"]:   # f64 does half
    peak = r["machine"]["peak_gflops"] / (2 if x["name"] == "wide" else 1)
    assert abs(x["peak_fraction"] * peak / x["gflops"] - 1) < 1e-6
os.remove("wide.attn")

# Ctrl-C: the first lengths are there
run = subprocess.Popen([attnc, "bench", softmax, "--json", "--n=64:64k", "--rounds=1000", "--seconds=4"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
time.sleep(6)
run.send_signal(signal.SIGINT)
out, _ = run.communicate(timeout=120)
r = schema(out)
assert run.returncode == 130 and r["interrupted"] and 0 < len(r["results"]) < 11, (run.returncode, r)

# plots: a picture, or the data and what is missing
bench(quadratic, softmax, "--plot=times.svg", "--csv", *small)
subprocess.run([attnc, "cost", quadratic, softmax, "--at", "D=64", "--json", "--plot=costs.svg"], check=True,
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for picture, titles in (("times.svg", ("quadratic, predicted", "softmax")), ("costs.svg", ("quadratic direct", "n = 2153"))):
    svg = xml.dom.minidom.parse(picture)
    said = "".join(t.toxml() for t in svg.getElementsByTagName("text"))
    assert all(t in said for t in titles) and len(svg.getElementsByTagName("path")) > 10, picture
text = subprocess.run([attnc, "cost", quadratic, "--at", "D=64", "--plot"], capture_output=True, encoding="utf-8", check=True)
assert "what it costs" in text.stdout
nowhere = dict(os.environ, PATH="/nonexistent")
run = bench(softmax, "--plot=none.svg", *small, code=3, env=nowhere)
assert "gnuplot was not found" in run.stderr and "none.svg.gp" in run.stderr and "softmax" in run.stdout
assert not os.path.exists("none.svg")
subprocess.run(["gnuplot", "none.svg.gp"], check=True)
xml.dom.minidom.parse("none.svg")
run = subprocess.run([attnc, "cost", quadratic, "--plot=x.svg"], capture_output=True, encoding="utf-8")
assert run.returncode == 2 and "--plot needs D, M" in run.stderr and not os.path.exists("x.svg")
assert sorted(os.listdir(".")) == ["costs.svg", "none.svg", "none.svg.gp", "times.svg"], os.listdir(".")
print("benches as documented")
