"""Random programs, each checked against the f64 reference. Usage: ATTNC WORKDIR COUNT SEED. Prints a failing one."""
import os
import random
import subprocess
import sys

attnc, work, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.makedirs(work, exist_ok=True)
rng = random.Random(seed)


def vector(x, depth=0):
    return rng.choice([x, x, f"(elu({x}) + 1)", f"(2*{x})", f"(u*{x})", f"roll({x}, 1)", f"(W @ {x})",
                       f"[1, {x}]", f"rope({x}, i)" if x == "q" else f"rope_half({x}, j/3)", f"sympow({x}, 2)", f"({x} ⊗ {x})", f"relu({x})"])


def score():
    form = rng.choice(["q·k", "q·k", "{f}"])
    if form == "{f}":
        shape = rng.choice(["elu({0}) + 1", "u*{0}", "[{0}, 1]", "roll({0}, 2)", "sympow({0}, 2)", "{0} ⊗ {0}", "tanh({0})",
                            "W @ {0}", "relu({0})", "[1, √2*{0}, sympow({0}, 2)]"])
        return f"({shape.format('q')})·({shape.format('k')})"
    return form


def separable():
    s = score()
    return rng.choice([f"({s} + 1)^2", f"({s})^2 + 0.5", f"({s}/3 - 1)^2 + 1", f"({s} + 2)^{rng.randint(1, 4)}",
                       f"norm2(q)*norm2(k) + ({s})^2 + 1", f"({s})^2*exp(-norm2(k)/8) + 1", f"(({s})*({score()}))^2 + 1",
                       f"exp(-norm2(q)/9)*exp(-norm2(k)/9)*({s} + 3)^2 + 1", f"1/(1 + norm2(k))*({s})^2 + 0.25"])


def decaying():
    s = score()
    return rng.choice([f"sigmoid(slope[h])^(i - j)*(({s})^2 + 0.5)", f"0.5^(2*(i - j))*({s} + 2)^2 + exp(-(i - j)/8)*norm2(k)",
                       f"exp(-abs(i - j)*tau)*({s} + 1)^2 + 0.5", "(q*exp(-abs(u)*(i - j)))·k", "q·(sigmoid(u)^(i - j)*k)*norm(q) + 1",
                       f"decay(age[b,i])*({s} + 2)^2 + decay(sigmoid(slope[h]*i))*0.5", f"decay(mod(i, 9) == 4 ? 0 : age[b,i])*({s})^2 + 1",
                       "(decay(sigmoid(k - u))*q)·k + decay(age[b,i])^2*0.9^(i - j) + 2"])


def fading():
    s = score()
    return rng.choice([f"decay(age[b,i])*exp({s}/4)", f"exp({s}/4 + log(decay(sigmoid(norm2(k) + slope[h]))))",
                       "abs((decay(sigmoid(k - u))*q)·k) + 0.5", f"decay(mod(i, 9) == 4 ? 0 : age[b,i])*({s})^2 + 0.1"])


def direct():
    s = score()
    return rng.choice([f"exp({s}/4)", f"exp({s}/√D - slope[h]*abs(i - j))", f"sigmoid({s})", f"softplus({s})", f"relu({s}) + 0.5",
                       f"exp(-norm2(q - k)/4)", f"1/(1 + norm2(q - k))", f"abs({s}) + 1", f"elu({s}) + 1", f"exp(tau*tanh({s}))",
                       f"({s})^2 + 1", f"max({s}, 0.1)", f"{s} > 0 ? {s} + 1 : 0.5", f"exp(norm(q - k)/4)", f"gelu({s}) + 2",
                       f"silu({s}) + 2", f"cos({s}/4) + 2", f"exp(sin(i - j) + {s}/8)"])


def mask_term():
    c = rng.randint(1, 40)
    return rng.choice(["i - j < 5 and j - i < 9", "j <= i", f"j < {c}", "j != i", f"not (j > i + {c})", "j < n - 2", f"abs(i - j) < {c}",
                       f"|i - j| > {c}", f"i < {c}", "i - j < 20*tau", f"mod(i - j, {c}) == 0", f"mod(j, {c}) < 3", "doc[b,i] == doc[b,j]",
                       "doc[b,i] != doc[b,j]", "age[b,j] <= age[b,i]", "age[b,j] > 0.2", f"j < {c}*slope[h]",
                       f"floor(i/{c}) == floor(j/{c})", f"min(i, {c}) >= j - 3", f"2*j <= i + {c}", "(i - j) - 7*floor((i - j)/7) == 0"])


def mask():
    terms = [rng.choice(["", "", "not "]) + f"({mask_term()})" for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    text = f" {rng.choice(['and', 'or', 'or'])} ".join(terms)
    return rng.choice(["", "", "causal; "]) + rng.choice(["", "", "", f"window {rng.randint(1, 50)}; "]) + (f"mask = {text};" if text else "")


def program():
    kernel = rng.random() < 0.5
    text = "param tau = 0.5;\nparam slope[H];\nparam u[D];\nparam W[D,D];\nparam doc[B,n];\nparam age[B,n];\n" + rng.choice(["", "", "", "type f64;\n", "state f64;\n"])
    text += f"sim = {separable() if kernel else direct()};\n"
    if kernel and rng.random() < 0.5:
        sim = separable() if rng.random() < 0.5 else decaying()
        text = text.rsplit("sim = ", 1)[0] + f"sim = {sim};\n"
        text += rng.choice(["causal;", "mask = not (j > i);", "mask = i >= j and (j < n - 2 or j == 0);"]) + "\nkernelize;\n"
    elif not kernel and rng.random() < 0.2:
        text = text.rsplit("sim = ", 1)[0] + f"sim = {fading()};\n" + "causal;\n" + rng.choice(["", "window 40;\n", f"mask = {mask_term()};\n"])
    else:
        text += "kernelize;\n" + rng.choice(["", "mask = j < n - 2 or j == 0;\n"]) if kernel else mask() + "\n"
    return text + rng.choice(["", "", "normalize = 1;\n", "normalize = max(abs(z), 1);\n"])


for k in range(count):
    text, path = program(), f"{work}/p.attn"
    sizes = rng.choice(["n=1,D=2,M=1", "n=17,D=5,M=3", "n=67,D=7,M=16,n_q=30", "n=300,D=2,M=3,n_q=150,B=2", "n=130,D=3,M=17", "n=40,D=8,M=8,H=4,G=2", "n=0,D=2,M=2",
                        "n=9,n_q=0,D=3,M=3", "n=140,n_q=3,D=16,M=5,H=4,G=2", "n=200,n_q=1,D=5,M=16,H=6,G=2"])
    with open(path, "w") as f:
        f.write(text)
    isa = rng.choice([[], [], ["--mcpu=x86-64-v2"], ["--mcpu=x86-64-v3"]]) if os.uname().machine == "x86_64" else []
    r = subprocess.run([attnc, "check", path, "--at", sizes, "--check-each", f"--seed={k}"] + isa, capture_output=True, text=True)
    if r.returncode == 2 and "cannot run" in r.stderr:
        r = subprocess.run([attnc, "check", path, "--at", sizes, f"--seed={k}"], capture_output=True, text=True)
    if r.returncode:
        print(f"program {k} at {sizes} {isa}:\n{text}\n{r.stdout}{r.stderr}")
        sys.exit(1)
print(count, "programs agree")
