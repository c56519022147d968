"""Inputs that must be refused with a message and exit 1. Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
cases = {
    "has no sim statement": b"",
    "nested more than 256": b"sim = " + b"(" * 20000 + b"1" + b")" * 20000 + b";",
    "degree 1000000 is above": "sim = (q·k)^1000000; kernelize;".encode(),
    "exponent 1000000 is above": "sim = (q·k)^1000000;".encode(),
    "invalid UTF-8": b"sim = \xff\xfe;",
    "NUL byte": b"sim = 1\0;",
    "sim is given twice": b"sim = 1; sim = 2;",
    "recursion": b"let f(x) = f(x); sim = f(1);",
    "division by zero": "sim = q·k/0;".encode(),
    "must be from 1 to": b"dim D = 0; sim = 1;",
    "must be from 1 to 2147483648": b"dim D = 99999999999; sim = 1;",
    "unknown name 'foo'": b"sim = foo;",
    "unknown function 'expp'": "sim = expp(q·k);".encode(),
    "different lengths": "dim R; param W[R,D]; sim = (W @ q)·k;".encode(),
    "type bf16 is not supported yet": "sim = q·k; type bf16;".encode(),
    "index 'i' is not on the right": "sim = 1; q[i,h,d] = 1;".encode(),
    "expected": b"sim = (1 + ;",
    "takes 1 argument": b"let f(x) = x; sim = f(1, 2);",
    "runs over H": b"param a[H,n]; sim = a[j,h];",
}
for want, text in cases.items():
    path = f"{work}/p.attn"
    with open(path, "wb") as f:
        f.write(text)
    r = subprocess.run([attnc, path, "-o", f"{work}/k.o"], capture_output=True, timeout=20)
    err = r.stderr.decode()
    assert r.returncode == 1 and want in err and not os.path.exists(f"{work}/k.o"), (want, r.returncode, err)
print("ok")
