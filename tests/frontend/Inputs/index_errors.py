"""Programs with index notation that must be refused: the message, and line:column. Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
if os.path.exists(f"{work}/p.o"):
    os.remove(f"{work}/p.o")
x = "input x[b,n,F]; "
cases = [
    (x + "y[b,i,f] = x[b,i,f];", "the program has no output", None),
    (x + "output y[b,i,g] = x[b,i,f];", "index 'g' is not on the right", 30),
    (x + "param W[F,D]; output y[b,i,d] = x[b,i,d]*W[f,d];", "index 'd' runs over F, but this one runs over D", 62),
    (x + "output y[b,i,f] = zz[b,i,f];", "unknown tensor 'zz'", 35),
    (x + "output y[b,i,f] = x[b,i];", "x has 3 indexes, found 2", 35),
    (x + "output y[b,i,f,g,h] = x[b,i,f];", "y has 5 indexes, the limit is 4", 17),
    (x + "output y[b,b,f] = x[b,i,f];", "the index 'b' is given twice", 28),
    (x + "output y[b,2,f] = x[b,i,f];", "the indexes of a result are names", 28),
    (x + "output y[b,i] = x[b,i,f+1];", "unknown name 'f'", 39),
    (x + "a[b,i,f] = c[b,i,f]; c[b,i,f] = a[b,i,f]; output y[b,i,f] = c[b,i,f];", "'c' is defined by itself", 38),
    ("input x[b,h,n,F]; output y[b,h,i,f] = x[b,h,i,f]*f;", "the position along 'f' cannot be used as a number", 50),
    (x + "causal; output y[b,i,f] = x[b,i,f];", "this belongs to no attention", 17),
    (x + "attention a { sim = q·k; dim R; } output = a;", "dim belongs outside the attentions", 42),
    (x + "attention a { causal; } output = a;", "the attention has no sim", 17),
    ("attention a { sim = 1; } attention a { sim = 1; } output = a;", "'a' is already defined", 36),
    ("attention a { sim = 1; ", "expected ';', '}' or a statement, found the end of the file", None),
    ("input q[b,n,F]; sim = 1;", "q has 3 indexes; that of an attention has 4", 17),
    (x + "k[b,i,f] = x[b,i,f]; sim = 1;", "k has 3 indexes, v has 4: both have heads, or neither", None),
    (x + "k[b,f] = x[b,i,f]; sim = 1;", "k has 2 indexes; that of an attention has 4", None),
    ("input k[b,g,n,D]; input v[b,h,n,M]; sim = 1;", "v runs over H where k runs over G", None),
    (x + "param w[F]; output y[b,i] = max(x[b,i,g]*w[g], x[b,i,g]);", "stands in several arguments of max", 45),
    (x + "output y[b,i,f] = x[b,i,f] + 1/0;", "division by zero", 46),
    (x + "x[b,i,f] = x[b,i,f]; output y[b,i] = x[b,i,f];", "'x' is already defined", 17),
    ("attention a { sim = 1; } output y[b,h,i] = a[b,h,i,0];", "a constant index needs a fixed dimension", 52),
    ("dim M = 3; attention a { sim = 1; } output y[b,h,i] = a[b,h,i,3];", "the index is 3, must be from 0 to 2", 63),
    ("input w[n,n]; output y[a] = w[a,a];", "a diagonal cannot be read", 29),
    (x + "output y[b,i,f] = x[b,i,f] / norm(x[b,i,f]);", "norm needs a vector, found a number", 51),
    (x + "param w[n]; output y[b,i,f] = x[b,i,f] + rope(w[i], i);", "must run over the last index of the result, 'f'", 63),
    ("dim F = 5; " + x + "output y[b,i,f] = rope(x[b,i,f], i);", "the length is odd", 51),
    (x + "param W[F,D]; output y[b,i,d] = silu(x[b,i,f]*W[f,d]) * x[b,i,f];", "index 'f' is summed in here", 49),
    (x + "output y[b,r,f] = x[b,r,f] * i;", "unknown name 'i'", 46),
    (x + "output y[b,i,f] = x[b,i,f] * norm2(q);", "unknown name 'q'", 52),
    (x + "output y[b,i,f] = decay(x[b,i,f]);", "decay pairs queries with keys", 35),
    (x + "output y[b,i,f] = x[b,i,f] * D;", "no input or param tells the size of D", 46),
    ("input x[a,b,c,d,e]; output y[a,b,c,d] = x[a,b,c,d,e];", "statements read tensors of up to 4", 41),
    ("".join(f"input x{k}[D{k}]; " for k in range(70)) + "output y[a] = x0[a];", "more than 64 dimensions", None),
    (x + "t0[b,i,f] = x[b,i,f]; " + "".join(f"t{k}[b,i,f] = t{k-1}[b,i,f] + 1; " for k in range(1, 70))
     + "output y[b,i,f] = t69[b,i,f];", "more than 64 statements", None),
    (x + "t0[b,i,f] = x[b,i,f]; " + "".join(f"t{k}[b,i,f] = t{k-1}[b,i,f] + 1; " for k in range(1, 50))
     + "output y[b,i,f] = t49[b,i,f];", "51 tensors, with those in between; the limit is 40", None),
    (x + "output y[b,i] = " + "*".join(f"exp(x[b,i,f]+{k})" for k in range(300)) + ";", "a product of more than 256", None),
    ("attention a { let s = q·k; let s = 2; sim = s; } output = a;", "the name 's' is already defined", 32),
    ("attention a { let exp(x) = x; sim = 1; } output = a;", "the name 'exp' is a built-in function", 19),
    ("attention q { sim = 1; } output = q;", "the name 'q' has a meaning of its own", 11),
    ("attention a { sim = 1; } output y[i,h,m,b] = a[b,h,i,m] * i;", "the position of a query is a number only", None),
    (x + "output y[b,i] = argmax(x[b,i,f], 3);", "the second argument of argmax is the index it runs along", 50),
    (x + "output y[b,i] = amax(x[b,i,f], g);", "index 'g' does not stand in the first argument of amax", 48),
    (x + "output y[b,i,f] = argmin(x[b,i,f], f);", "index 'f' is one of the result", 52),
    (x + "output y[b,i] = argmax(x[b,i,f]);", "argmax takes 2 arguments, found 1", 33),
    (x + "output y[b,p] = argsort(x[b,p,f], f);", "index 'p' counts places in the order", 41),
    (x + "output y[b,p] = argsort(x[b,p,f], p);", "index 'p' stands for something else here", 51),
    (x + "output y[b,f,s] = x[b,argsort(x[b,t,f], t),f];", "argsort is of all entries", 39),
    ("sim = exp(argmax(q, d));", "argmax runs along a named index", 11),
    (x + "output y[b,f] = x[b,n > 3,f];", "an index must be a number, found a truth value", 37),
    (x + "input w[F,F]; output y[b,i,f] = x[b,i-1,f] * w[i+2,f];", "index 'i' is not on the right", 42),
    ("sim = exp(q·k) * out_lse[b,h,i]; output y[b,h,i] = out_lse[b,h,i];", "'out_lse' is defined by itself", 1),
    ("attention a { sim = c_lse[b,h,i]; } attention c { sim = a_lse[b,h,i]; } output y[b,h,i] = a_lse[b,h,i];",
     "'a_lse' is defined by itself", 1),
    (x + "attention a { sim = 1; mask = a_lse[b,h,i] > 0; } output = a;", "'a_lse' is defined by itself", 17),
    ("attention a { sim = 1; normalize = a_lse[b,h,i]; } output = a;", "'a_lse' is defined by itself", 1),
    ("input x[b,h,n,D]; q[b,h,i,d] = x[b,h,i,d] * out_lse[b,h,i]; sim = q·k;", "'q' is defined by itself", 19),
    (x + "sim = out[b,h,i,0]; output y[b,i] = x[b,i,f];", "'out' is defined by itself", 17),
    ("sim = exp(q·k) * out_lse[b,h,i];", "unknown param 'out_lse'", 18),
    ("sim = exp(q·k); output y[b,h,i] = out_lse[b,h,i,2];", "out_lse has 3 indexes, found 4", 35),
    ("sim = q·k; output y[b,h,i,m] = i > 0 ? out[b,h,i-1,m] : 0;", "this is a position among all n tokens", 48),
    ("input S[b,n,n]; input p[b,n]; output y[b,i,j] = S[b,p[b,i],p[b,j]];", "two indexes are computed here", None),
    (x + "output y[b,i,d] = rope(x[b,i,F-1-d], i);", "what index 'd' runs over is not known here", 40),
    (x + "output y[b,f,p] = argsort(x[b,t,f], t) + p;", "the position along 'p' cannot be used", 17),
    ("input u[b,n]; output y[b,p] = argsort(u[b,t], t) + p;", "the position along 'p' cannot be used", 15),
    (x + "output y[b,i,f] = foo_lse[b,i,f];", "unknown tensor 'foo_lse'", 35),
    (x + "output y[b,i,f] = x;", "'x' is a tensor; give it its indexes", 35),
    (x + "sim = q·k; out[b,i,f] = x[b,i,f];", "'out' is what the sim outside all blocks makes", None),
]
for text, message, column in cases:
    path = f"{work}/p.attn"
    with open(path, "w") as f:
        f.write(text + "\n")
    r = subprocess.run([attnc, path, "-o", f"{work}/p.o"], capture_output=True, text=True, timeout=20)
    place = f"p.attn:1:{column}: error: " if column else "p.attn:"
    assert r.returncode == 1 and message in r.stderr, (text, r.returncode, r.stderr)
    assert any(place in line and message in line for line in r.stderr.splitlines()), (text, column, r.stderr)
    assert not os.path.exists(f"{work}/p.o"), text
print(len(cases), "programs are refused")
