"""Row W10: from a program to code, beside the first call of what torch.compile and jax.jit make of
the same attention, in a fresh process with an empty cache, once a small function is compiled; and
beside all of that process, from its start on, as attnc's time is."""
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")
PROGRAMS = ("softmax", "softmax_causal", "quadratic_causal")


def attention(name):
    """The attention that a program is, small enough for its first call to be the compilation."""
    from spec import Attention
    return Attention("quadratic" if "quadratic" in name else "softmax", 512, h=1,
                     causal="causal" in name)


def attnc(build, name, flags, runs):
    """Median seconds and the object's bytes."""
    times = []
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "k.o")
        for _ in range(runs):
            start = time.perf_counter()
            subprocess.run([os.path.join(build, "attnc"), os.path.join(EXAMPLES, name + ".attn"),
                            "-D", "D=64", "-D", "M=64", *flags, "-o", out], check=True,
                           capture_output=True)
            times.append(time.perf_counter() - start)
        return statistics.median(times), os.path.getsize(out)


def fresh(system, name):
    """Seconds of the first call in a process of its own, those of the process, and what went wrong."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as tmp:
        done = subprocess.run([sys.executable, os.path.abspath(__file__), system, name],
                              capture_output=True, text=True,
                              env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": tmp})
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return None, None, lines[-1][:160]
    return float(done.stdout.strip().splitlines()[-1]), time.perf_counter() - start, None


def run(library, options, tell):
    """Tells one point per program."""
    runs = 3 if options.quick else 5
    for name in PROGRAMS[:1] if options.quick else PROGRAMS:
        sides = {}
        for label, flags in (("attnc, one ISA", ["--mcpu=native"]), ("attnc, all ISAs", [])):
            seconds, size = attnc(library.build, name, flags, runs)
            sides[label] = {"ours": True, "ms": 1e3 * seconds, "rounds": runs, "bytes": size,
                            "note": None}
        for system in ("torch.compile", "jax.jit"):
            tell({"kind": "start", "side": f"{name} {system}"})
            call, process, problem = fresh(system, name)
            for label, seconds in ((system, call), (system + ", process", process)):
                sides[label] = {"ours": False, "ms": seconds and 1e3 * seconds, "rounds": 1,
                                "note": problem and "not available: " + problem}
        tell({"kind": "point", "row": "W10", "label": name, "n": 0, "threads": options.threads,
              "sides": sides, "peak": None})


def first_call(system, name):
    """Prints the seconds."""
    a = attention(name)
    qkv = a.inputs()
    if system == "jax.jit":
        import jax_side
        jax_side.jit(lambda x: x + 1, *jax_side.arrays(qkv[0]))()
        make = jax_side.chunked if a.similarity == "quadratic" else jax_side.direct
        call = make(a, *qkv)
    else:
        import torch
        import torch_side
        torch.set_grad_enabled(False)
        torch.compile(lambda x: x + 1)(qkv[0])
        if a.similarity == "quadratic":
            call = torch_side.chunked(a, *qkv, compiled=True)
        else:
            call = torch_side.flex(a, *qkv)
    start = time.perf_counter()
    call()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    first_call(*sys.argv[1:])
