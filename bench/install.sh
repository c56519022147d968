#!/bin/sh
# Makes the virtual environment with the systems that attnc is measured against: install.sh BUILD.
# Quick when it is there. PYTHON chooses the interpreter; FRESH=1 begins anew, with newest releases.
set -e
cd "$(dirname "$0")/.."
build=${1:-build}
venv=$build/bench/venv
stamp=$venv/installed
python=${PYTHON:-/usr/bin/python3}
mkdir -p "$build/bench"
[ -z "$FRESH" ] || rm -rf "$venv"
if [ -e "$stamp" ] && [ ! bench/requirements.txt -nt "$stamp" ]; then
  exit 0
fi
echo "bench: installing torch, JAX and NumPy in $venv (0.7 GB to download, once)"
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install --upgrade -r bench/requirements.txt
pip install --upgrade --no-deps torch
# Of CUDA only the two small libraries that torch calls when imported; the rest gets stand-ins.
version=$("$venv/bin/python" -c 'import importlib.metadata as m, re
for r in m.requires("torch") or []:
    x = re.match(r"cuda-toolkit\[.*\](==[0-9.]+)", r)
    if x: print(x.group(1))')
if [ -n "$version" ]; then
  pip install "cuda-toolkit[cudart,cupti]$version" 2>> "$build/bench/install.log" || true
fi
"$venv/bin/python" bench/peers/torch_stubs.py
if ! "$venv/bin/python" -c 'import torch' 2>> "$build/bench/install.log"; then
  echo "bench: torch does not start without CUDA: installing all it asks for"
  pip install --force-reinstall torch
  pip install --upgrade -r bench/requirements.txt
fi
# The causal product of pytorch-fast-transformers is one C++ file of it.
"$venv/bin/python" bench/peers/fast_transformers.py "$build/bench" 2>> "$build/bench/install.log" ||
  echo "bench: going on without fast-transformers"
touch "$stamp"
