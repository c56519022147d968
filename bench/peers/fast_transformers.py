"""The causal product of pytorch-fast-transformers (Katharopoulos et al. 2020), built from source.

The package wants all its extensions, CUDA among them where there is a compiler for it, so only the
one C++ file that matters is built, with its own flags and -march=native. Run with BUILD/bench as
argument to build, or import and call load(BUILD/bench).
"""
import glob
import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "pytorch-fast-transformers==0.4.0"
NAME = "causal_product_cpu"


def place(out):
    """Where the extension lies."""
    return os.path.join(out, "fast_transformers")


def build(out):
    """Downloads the source and compiles the extension."""
    from torch.utils import cpp_extension
    folder = place(out)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--no-binary",
                        ":all:", "--no-build-isolation", "-d", tmp, PACKAGE], check=True)
        with tarfile.open(glob.glob(os.path.join(tmp, "*.tar.gz"))[0]) as archive:
            member = next(m for m in archive if m.name.endswith(f"/{NAME}.cpp"))
            source = os.path.join(folder, f"{NAME}.cpp")
            with open(source, "wb") as f:
                f.write(archive.extractfile(member).read())
    cpp_extension.load(NAME, [source], build_directory=folder, extra_ldflags=["-fopenmp"],
                       extra_cflags=["-O3", "-march=native", "-fopenmp", "-ffast-math"])


def load(out):
    """The function causal_dot_product(q, k, v, out) on features [N, H, L, E]."""
    files = glob.glob(os.path.join(place(out), NAME + "*.so"))
    if not files:
        raise RuntimeError("fast-transformers was not built")
    spec = importlib.util.spec_from_file_location(NAME, files[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.causal_dot_product


if __name__ == "__main__":
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    build(sys.argv[1])
