"""explain --html: a page that is well formed, stands alone, and has what it promises. Usage: ATTNC EXAMPLES WORKDIR"""
import html.parser
import os
import shutil
import subprocess
import sys

attnc, examples, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)


def explain(*words, code=0):
    run = subprocess.run([attnc, "explain", *words], capture_output=True, encoding="utf-8", timeout=120)
    assert run.returncode == code, (words, run.returncode, run.stderr)
    return run


class Page(html.parser.HTMLParser):
    """Tags must close in order; counts elements, collects text and links."""
    empty = {"meta", "line", "rect", "br"}

    def __init__(self, path):
        super().__init__()
        self.open, self.count, self.said, self.links, self.ids = [], {}, [], [], set()
        with open(path, encoding="utf-8") as f:
            self.source = f.read()
        self.feed(self.source)
        assert not self.open, self.open
        self.text = "".join(self.said)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        values = dict(attrs)
        self.ids.add(values.get("id"))
        self.links += [values[k] for k in ("href", "src", "xlink:href") if k in values]
        if tag not in self.empty:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        self.said.append(data)


with open('odd <b>&amp;.attn', "w", encoding="utf-8") as f:
    f.write("# <script>alert(1)</script> & more\nsim = exp(q·k / √D); mask = j < i or j < 3;\n")
files = [f"{examples}/{x}.attn" for x in ("quadratic_causal", "longformer", "documents", "elu_feature")] + ["odd <b>&amp;.attn"]
explain(*files, "--html=report.html")
page = Page("report.html")
assert page.links == ["#p0", "#p1", "#p2", "#p3", "#p4", "#compared"] and {link[1:] for link in page.links} <= page.ids
assert "http" not in page.source and "<script" not in page.source.replace("&lt;script", "")
for want in ("(q·k)^2 + 2*q·k + 1", "proven: both sides have the same normal form", "proven >= 0: zero only if q·k = -1",
             "int quadratic_causal_forward(const DLTensor *q", "B·H·n·(D + 2)·((2·M + 3)·(D + 1) - 2)", "Θ(B·H·n²·(D + M))",
             "the mask reads the tensor doc; not drawn", "phase %b", "<script>alert(1)</script> & more", "4338", "longformer, step"):
    assert want in page.text, want
# pictures: causal; longformer and the odd one with tiles; no picture of what is not known; the curves
assert page.count["figure"] == 1 + 2 + 2 and page.count["svg"] == page.count["figure"] + 1, page.count
assert page.count["polyline"] == 5 + 2                   # five programs, two of them in both forms
assert "visible (1176), light some (0), empty none (1128)" in page.text      # 48*49/2 of 48*48 pairs
assert "prefers-color-scheme:dark" in page.source and "@media print" in page.source
# sizes, fixed sizes, one program
explain(files[0], "--html=one.html", "--at", "n=512,D=16,H=4")
one = Page("one.html")
assert "n=512 D=16" in one.text and "H=4" in one.text and one.links == ["#p0", "#compared"]
explain(f"{examples}/softmax.attn", "--html=small.html", "-D", "n=40", "-D", "D=8")
assert "n = 40" in Page("small.html").text
assert explain(f"{examples}/softmax.attn", "--html=-").stdout.startswith("<!doctype html>")
# an error leaves what was there
with open("one.html", encoding="utf-8") as f:
    before = f.read()
with open("bad.attn", "w", encoding="utf-8") as f:
    f.write("sim = (q·k")
assert "bad.attn:1:" in explain(files[0], "bad.attn", "--html=one.html", code=1).stderr
assert "'Q'" in explain(files[0], "--html=one.html", "--at", "Q=3", code=2).stderr
with open("one.html", encoding="utf-8") as f:
    assert f.read() == before
assert "nowhere" in explain(files[0], "--html=nowhere/x.html", code=3).stderr
assert "--json and --html" in explain(files[0], "--html=x.html", "--json", code=2).stderr
assert "several with --html" in explain(files[0], files[1], code=2).stderr
# a browser, where there is one: nothing to complain about
browser = shutil.which("chromium")
if browser:
    run = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
                          f"file://{os.getcwd()}/report.html"], capture_output=True, encoding="utf-8", timeout=120)
    assert "CONSOLE" not in run.stderr and "quadratic_causal" in run.stdout, run.stderr[-500:]
print("a page as promised")
