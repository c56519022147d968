"""One edit of a valid tile program per rule of the verifier and reader; each must be refused with its message, a place
and exit code 1. Usage: ATTNC EXAMPLES TEMP"""
import os
import re
import subprocess
import sys

attnc, examples, temp = sys.argv[1:]
os.makedirs(temp, exist_ok=True)


def tiles(name):
    run = [attnc, os.path.join(examples, name + ".attn"), "--emit=tiles"]
    return subprocess.run(run, capture_output=True, encoding="utf-8", check=True).stdout


stream, linear, scan = tiles("rbf"), tiles("quadratic"), tiles("elu_causal")
# text, what is edited (a regular expression), replacement, message
cases = [
    (stream, r"buffer acc(\d+) local acc \S+", r"buffer acc\1 local acc -4", "has a negative extent"),
    (stream, r"buffer den(\d+) local acc", r"buffer den\1 local io", "only arguments hold io elements"),
    (stream, r"buffer out arg io 1 x n_q", "buffer out arg io 1 x n", "argument out must be io 1 x n_q x M"),
    (stream, r"buffer v arg", "buffer w arg", "the arguments are q, k, v and out"),
    (stream, r"(  buffer tmax\d+ .*\n)", r"\1\1", "there are two buffers tmax"),
    (stream, r"buffer (tmax\d+) local acc 1 x 1 x 64", r"buffer \1 local acc 1 x -1 x 64", "has a negative extent"),
    (stream, r"    lowest max\d+\[", "    lowest maxx[", "unknown buffer 'maxx'"),
    (stream, r" copy out\[%b, ", " copy q[%b, ", "argument q is only read"),
    (stream, r"copy (q\d+\[.*\]) q\[", r"copy \1 out[", "argument out is only written"),
    (stream, r"    lowest max\d+\[[^;]*; 0, 0", "    lowest out[0, 0; 0, 0", "this operand cannot be an argument"),
    (stream, r"    lowest max0\[([^;]*); 0, 0", r"    lowest max0[\1; %j4, 0", "loop variable %j4 is used outside its loop|unknown loop"),
    (stream, r"for %step in (.*), 1 ", r"for %step in \1, 0 ", "the step of a loop is 0"),
    (stream, r"for %step in", "for %h in", "loop variable %h is in use already|unknown loop variable"),
    (stream, r"for %step in [^,]*", "for 0", "unknown loop variable|for has 1 variable"),
    (stream, r"tiles forward", "tiles backward", "must be forward or step"),
    (stream, r"sum d:D", "", "varies over axis d|mixsum sums over a third axis"),
    (stream, r"over i:(\S+) m:M", r"over i:\1 d:D", "the map does not"),
    (stream, r"over i:(\S+) m:M", r"over i:\1 i:M", "runs over an axis twice"),
    (stream, r"over i:(\S+) m:M", r"over h:\1 m:M", "a map cannot run over axis h"),
    (stream, r"<i,m>", "<i,i>", "over axis i twice"),
    (stream, r"<i,m>", "<i,1>", "the bound node varies over axis m, its tile does not"),
    (stream, r"<i,m>=acc\d+\[.*?\]", "", "bound node|expected"),
    (stream, r"matmul 1", "matmul 2", "number 1 of matmul is 2, must be from 0 to 1"),
    (stream, r"\n  phase", "\n  zero acc1[0; 0, 0 : 64 x M]\n  phase", "phases belong at the top"),
    (stream, r"\n( +)zero acc", r"\n\1phase 1, 1, 1 {\n\1}\n\1zero acc", "phases belong at the top"),
    (stream, r"/\^64", "/0", "division by zero"),
    (stream, r"/\^64", "/$99", r"\$99 is not defined here"),
    (linear, r"shared table 1 x rows\(D, 2\) x 2", "shared table 1 x rows(D, 2) x D", "must have from 1 to 16 columns"),
    (linear, r"rows\(D, 2\)", "rows(D, 17)", "degree is 17, must be from 2 to 16"),
    (linear, r"  table 2 D rot0\[0; ", "  table 4 D rot0[0; ", "degree 4 needs a table of 3 columns"),
    (linear, r"zero state0\[", "zero rot0[", "rot0 is a monomial table"),
    (linear, r"table 2 D rot0\[", "table 2 D state0[", "state0 is no monomial table"),
    (scan, r"( scan 0 .*) v(\[%b, %h; .*) out", r"\1 x5[0, 0 : 1 x M] out", "x5 is no argument"),
    (scan, r"( scan 0 .*) x5\[[^]]*\] v(.*) out", r"\1 v\2 none out", "this operand cannot be an argument"),
    (scan, r"( scan 0 .*) none", r"\1 x5[0, 0 : 1 x M]", "scan has a view of gates, but number 2 is 0"),
    (linear, r"\n  phase 1, 1, 1", "\n  phase 1, 1, 1 {\n  }" * 8 + "\n  phase 1, 1, 1", "more than 8 phases"),
]
passed, failed = 0, []
for k, (text, pattern, new, message) in enumerate(cases):
    edited, n = re.subn(pattern, new, text, count=1)
    path = os.path.join(temp, f"case{k}.air")
    with open(path, "w", encoding="utf-8") as f:
        f.write(edited)
    run = subprocess.run([attnc, path, "-o", os.path.join(temp, "x.o")], capture_output=True, encoding="utf-8", timeout=60)
    place = re.search(r"case\d+\.air:\d+:\d+: error: (.*)\n.*\n\s*\^", run.stderr)
    if n == 1 and run.returncode == 1 and place and re.search(message, place.group(1)):
        passed += 1
    else:
        failed.append(f"{k}: {pattern} -> {new}: {n} edits, exit {run.returncode}, wanted '{message}': {run.stderr[:300]}")
print("\n".join(failed))
print(f"{passed} passed, {len(failed)} failed")
sys.exit(1 if failed else 0)
