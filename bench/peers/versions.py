"""What the numbers depend on: machine, kernel, compiler and libraries."""
import os
import platform
import re
import subprocess
import time


def output(*command, folder=None):
    """The first line a command prints, or '' where there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        return done.stdout.strip().split("\n")[0]
    except OSError:
        return ""


def processor():
    """The model's name."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        found = re.search(r"model name\s*: (.*)", f.read())
    return found.group(1) if found else platform.processor()


def torch_parts(torch):
    """MKL and oneDNN as torch names them."""
    text = torch.__config__.show()
    parts = {}
    for name, pattern in (("mkl", r"Math Kernel Library Version (\S+)"),
                          ("onednn", r"MKL-DNN (v\S+)")):
        found = re.search(pattern, text)
        parts[name] = found.group(1) if found else "none"
    return parts


def of_import(name):
    """A module's version, or why it cannot be imported."""
    try:
        return __import__(name).__version__
    except Exception as problem:
        return f"not available: {type(problem).__name__}: {problem}"[:160]


def collect(library, root):
    """A dictionary of all of it."""
    import numpy
    import torch
    from threadpoolctl import threadpool_info
    blas = next((x for x in threadpool_info() if x["internal_api"] == "openblas"), {})
    levels = {1: "x86-64-v2", 2: "x86-64-v3 (AVX2)", 3: "x86-64-v4 (AVX-512)", 16: "NEON"}
    revision = output("git", "rev-parse", "--short=12", "HEAD", folder=root)
    changed = output("git", "status", "--porcelain", "-uno", folder=root)
    compiler = subprocess.run([os.path.join(library.build, "attnc"), "--version"],
                              capture_output=True, text=True).stdout.split()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"), "cpu": processor(),
        "cores": os.cpu_count(),
        "level": levels.get(library.attn.attn_isa_level(), "?"),
        "kernel": f"{platform.system()} {platform.release()}",
        "attnc": f"{' '.join(compiler)}, revision {revision or '?'}{' + changes' * bool(changed)}",
        "python": platform.python_version(), "cxx": output("c++", "--version"),
        "torch": torch.__version__, **torch_parts(torch),
        "torch_level": torch.backends.cpu.get_cpu_capability(),
        "jax": of_import("jax"), "jaxlib": of_import("jaxlib"), "numpy": numpy.__version__,
        "openblas": f"{blas.get('version', '?')} ({blas.get('architecture', '?')})",
    }
