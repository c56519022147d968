"""Large and absurd programs: an answer in seconds and the exit code listed. Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys
import time

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
slowest = 0.0


def case(code, want, text, *flags):
    global slowest
    with open("p.attn", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    start = time.time()
    r = subprocess.run([attnc, "p.attn", "--emit=ir", *flags], capture_output=True, timeout=60)
    slowest = max(slowest, time.time() - start)
    err = r.stderr.decode(errors="replace")
    assert r.returncode == code and want in err, (text[:60], r.returncode, err[-600:])
    assert code != 1 or "error:" in err and len(err) < 40000, (text[:60], len(err))


long = 20000
for op in ("+", "-", "*", "/", "^", " and ", " or ", " < ", "·", "⊗", "@"):
    case(1, "p.attn:", "sim = " + op.join(["q"] * long) + ";")
for prefix in ("-", "√", "not ", "exp(", "[", "|", "1 ? ", "1 ? 1 : "):
    case(1, "p.attn:", "sim = " + prefix * long + "1;")
case(1, "p.attn:", "sim = 1" + "²" * long + ";")
case(1, "p.attn:", "sim = max(" + ", ".join(["q·k"] * long) + ");")
case(3, "larger than the limit", b"#" * (1 << 20) + b"\nsim = 1;")
case(0, "", "sim = exp(q·k);\n#" + "x" * ((1 << 20) - 30))
case(1, "p.attn:", b"(" * (1 << 20))
case(1, "p.attn:", b";" * (1 << 19) + b"sim = x;")
case(1, "is beyond the limit of 400", "sim = 1e999999;")
case(1, "p.attn:", "sim = 1e99999999999999999999;")
case(1, "p.attn:", "sim = " + "9" * 100000 + ";")
case(1, "p.attn:", "sim = 0." + "1" * 100000 + ";")
case(1, "above the limit of 1024", "sim = 9^9^9^9;")
case(1, "p.attn:", "sim = " + "^".join(["1e400"] * 40) + ";")
case(1, "p.attn:", "".join(f"let a{n + 1} = a{n} * a{n};" for n in range(1, 40)) + "let a1 = 1e300; sim = a40;")
case(0, "", "".join(f"let a{n} = exp(a{n - 1} * 0.5);\n" for n in range(1, 500)) + "let a0 = q·k; sim = a499;")
case(0, "", "let a0 = q·k;" + "".join(f"let a{n} = a{n - 1} + a{n - 1};" for n in range(1, 60)) + "sim = exp(a59);")
case(1, "p.attn:", "let f0(x) = x;" + "".join(f"let f{n}(x) = f{n - 1}(x + 1) + f{n - 1}(x * 2);" for n in range(1, 60)) +
     "sim = f59(q·k);")
case(1, "more than 5000 definitions", "".join(f"let a{n} = {n};" for n in range(6000)) + "sim = 1;")
case(1, "more than 64 params that are numbers", "".join(f"param p{n} = 1;" for n in range(3000)) + "sim = 1;")
case(0, "", "".join(f"param p{n} = 1;" for n in range(64)) + "sim = exp(q·k);")
case(1, "more than 36 tensor params", "".join(f"param p{n}[D];" for n in range(3000)) + "sim = 1;")
case(0, "", "".join(f"param p{n}[D];" for n in range(36)) + "sim = exp(q·k);")
case(1, "more than 64 dimensions", "".join(f"dim R{n};" for n in range(3000)) + "sim = 1;")
case(1, "p.attn:", "".join(f"simm{n} = 1;\n" for n in range(5000)))
case(1, "p.attn:", "sim = " + "a" * 100000 + ";")
case(1, "p.attn:", "attention " + "é" * 1000 + "; sim = 1;")
case(1, "the default of t is too large for a double", "param t = 1e400; sim = t;")
case(0, "", "param t = (1e400 + 1) / 1e400; sim = exp(t * q·k);")
case(1, "power 41 is more than", "param g[H]; causal; kernelize; sim = g[h]^(i - j) * " + " * ".join(["q·k"] * 41) + ";")
for text, want in (("type bf16;", "type bf16 is not"),
                   ("type f16;", "type f16 is not")):
    case(1, want + " supported yet", "sim = q·k;\n" + text)
assert slowest < 30, slowest
print("ok")
