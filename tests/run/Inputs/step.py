"""Stepping gives what one forward over the whole sequence gives, at every split: bit for bit where whole numbers
are exact, else within rounding. Usage: ATTNC EXAMPLES WORKDIR"""
import os
import subprocess
import sys

import numpy as np

attnc, examples, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(3)
B, H, G, n, D, M = 2, 4, 2, 37, 8, 5
for name, heads, width in (("q", H, D), ("k", G, D), ("v", G, M)):
    np.save(f"{work}/{name}.npy", rng.standard_normal((B, heads, n, width)).astype(np.float32))
    np.save(f"{work}/{name}_exact.npy", rng.integers(-2, 3, (B, heads, n, width)).astype(np.float32))
np.save(f"{work}/gamma.npy", np.array([1, 0.5, 0.25, 0.97], np.float32))
np.save(f"{work}/a.npy", rng.uniform(0, 2, D).astype(np.float32))
np.save(f"{work}/slope.npy", rng.uniform(0, 1, H).astype(np.float32))
gate = rng.uniform(0, 1, (B, H, n, D)).astype(np.float32) ** 0.25
gate[:, 1, 20] = 0
np.save(f"{work}/gates.npy", gate)
np.save(f"{work}/gate.npy", gate[..., 0])
np.save(f"{work}/bit.npy", rng.integers(0, 2, (H, n)).astype(np.float32))
params = {"retnet": ["gamma"], "ssm_diagonal": ["a"], "alibi": ["slope"], "gla": ["gate=gates"], "ssd": ["gate"],
          "gated_exact": ["bit"]}
with open(f"{work}/exact.attn", "w") as f:  # nothing is rounded: no division
    f.write("sim = (q·k + 1)^2*(j + 1) + norm2(k); mask = j <= i and j != 3; kernelize; normalize = 1;")
with open(f"{work}/gated_exact.attn", "w") as f:  # params over tokens as gates, of queries, of keys and in the mask
    f.write("param bit[H, n]; sim = decay(mod(i, 5) == 0 ? bit[h, i] : 1) * (bit[h, i] + 1) * (q·k + bit[h, j])^2; "
            "causal; mask = bit[h, j] + j != 1; kernelize; normalize = 1;")
programs = [f"{examples}/{p}.attn" for p in ("quadratic_causal", "elu_causal", "retnet", "ssm_diagonal", "softmax_causal",
                                             "alibi", "gla", "ssd")] + [f"{work}/exact.attn", f"{work}/gated_exact.attn"]


def run(path, more):
    name = os.path.basename(path)[:-5]
    kind = "_exact" if "exact" in name else ""
    words = [f"{x}={work}/{x}{kind}.npy" for x in "qkv"]
    words += [f"{x.split('=')[0]}={work}/{x.split('=')[-1]}.npy" for x in params.get(name, [])]
    subprocess.run([attnc, "run", path] + words + ["-o", f"{work}/out.npy"] + more, check=True, stderr=subprocess.DEVNULL)
    return np.load(f"{work}/out.npy")


for path in programs:
    whole = run(path, [])
    for tokens in [1, 3, 18, 36]:
        parts = run(path, [f"--step={tokens}"])
        scale = np.abs(whole).max()
        bound = 0 if "exact" in path else 4e-6 * scale
        assert parts.shape == whole.shape and np.abs(parts - whole).max() <= bound, (path, tokens, np.abs(parts - whole).max())
print(len(programs), "programs step as they run")
