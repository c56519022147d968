"""Makes PyPI's torch importable without the gigabytes of CUDA libraries that a CPU never calls.

Every CUDA library that torch's libraries name and that is not installed gets an empty stand-in next
to them: a shared object of that name whose functions all return an error. Run with the python that
has torch; does nothing where nothing is missing. Needs cc and binutils.
"""
import importlib.util
import os
import re
import subprocess
import sys
import tempfile

NAMES = re.compile(r"^(cu|nccl|nvrtc|nvshmem|nvJit)")


def lines(*command):
    """What a command prints, line by line."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def missing_libraries(folder):
    """Sonames of CUDA libraries that torch's python module wants and the environment lacks. What
    the system has is not used: it may be of another release."""
    packages = os.path.dirname(os.path.dirname(folder))
    missing = set()
    for line in lines("ldd", os.path.join(folder, "libtorch_python.so")):
        name, _, path = line.strip().partition(" => ")
        if NAMES.match(name.removeprefix("lib")) and not path.startswith(packages):
            missing.add(name)
    return sorted(missing)


def undefined_symbols(folder):
    """[(name, version)] of the CUDA functions that torch's libraries leave to others."""
    symbols = set()
    for name in os.listdir(folder):
        if re.search(r"\.so(\.\d+)*$", name):
            for line in lines("nm", "-D", "--undefined-only", os.path.join(folder, name)):
                symbol, _, version = line.split()[-1].partition("@")
                if NAMES.match(symbol):
                    symbols.add((symbol, version.lstrip("@")))
    return sorted(symbols)


def make_stub(folder, soname, version, names):
    """A library that defines names under a version, each a function that returns 1."""
    with tempfile.TemporaryDirectory() as tmp:
        source, script = os.path.join(tmp, "stub.c"), os.path.join(tmp, "stub.map")
        with open(source, "w", encoding="utf-8") as f:
            f.write("".join(f"int {n}(void) {{ return 1; }}\n" for n in names))
        command = ["cc", "-shared", "-fPIC", "-w", "-fno-builtin", source, "-Wl,-soname," + soname,
                   "-o", os.path.join(folder, soname)]
        if version:
            with open(script, "w", encoding="utf-8") as f:
                f.write(version + " { global: *; };\n")
            command.append("-Wl,--version-script=" + script)
        subprocess.run(command, check=True)


def main():
    """Writes the stand-ins; says what it did."""
    spec = importlib.util.find_spec("torch")
    if spec is None:
        sys.exit("torch_stubs: torch is not installed")
    folder = os.path.join(os.path.dirname(spec.origin), "lib")
    missing = missing_libraries(folder)
    if not missing:
        return
    symbols = undefined_symbols(folder)
    # A version is named after its library, or after its stem in capitals (NVSHMEM); symbols without
    # one may be in any library: each stand-in that has no version has them all.
    for soname in missing:
        stem = re.match(r"lib(\w+?)(_host|_device)?\.so", soname).group(1)
        for version in (soname, stem.upper()):
            names = [n for n, v in symbols if v == version]
            if names:
                break
        else:
            version, names = "", [n for n, v in symbols if not v]
        make_stub(folder, soname, version, names)
    print(f"torch_stubs: stand-ins for {' '.join(missing)}")


if __name__ == "__main__":
    main()
