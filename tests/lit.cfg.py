import os

import lit.formats

config.name = "attnc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".attn", ".test", ".air"]
config.excludes = ["Inputs", "unit", "install", "lint"]
sanitized = config.sanitize.upper() in ("ON", "1", "TRUE")
# The release tree runs everything; the others what sanitizers or another LLVM could see, on fewer sizes and programs.
# ATTNC_LONG=1 runs everything everywhere.
full = "ATTNC_LONG" in os.environ or not (sanitized or config.second)
if config.second and not full:
    config.excludes += ["frontend", "diag", "fuzz", "ir", "passes", "docs", "npy.test", "numpy.test", "stats.test", "cost.test", "bench.test", "compare.test",
                        "html.test"]
config.test_source_root = os.path.join(config.source_dir, "tests")

tools = os.path.dirname(config.filecheck)
config.environment["PATH"] = os.pathsep.join([tools, config.environment.get("PATH", "")])
config.environment["LC_ALL"] = "C.UTF-8"
config.environment["NO_COLOR"] = "1"
if sanitized:
    config.environment["ASAN_OPTIONS"] = "detect_leaks=1:exitcode=99"
    config.environment["LSAN_OPTIONS"] = "suppressions=" + os.path.join(config.test_source_root, "lsan.supp")
    config.environment["UBSAN_OPTIONS"] = "print_stacktrace=1"

include = os.path.join(config.source_dir, "runtime")
config.substitutions += [
    ("%random_programs", os.environ.get("ATTNC_RANDOM_PROGRAMS", "100" if full else "25")),
    ("%mutants", "300" if full else "100"),
    ("%usual_sizes", "" if full else "--at n=70,H=4,G=2"),
    ("%attnc", config.attnc),
    ("%FileCheck", config.filecheck),
    ("%python", config.python),
    ("%cc_aarch64", config.aarch64_cc),
    ("%qemu_aarch64", config.qemu_aarch64),
    ("%cc", config.cc),
    ("%libattn", os.path.join(config.build_dir, "runtime", "libattn.a")),
    ("%include", include),
    ("%dlpack", config.dlpack),
    ("%examples", os.path.join(config.source_dir, "examples")),
    ("%src", config.source_dir),
    ("%build", config.build_dir),
]

with open("/proc/cpuinfo") as f:
    flags = f.read()
for feature, flag in (("host-avx2", " avx2 "), ("host-avx512f", " avx512f ")):
    if flag in flags:
        config.available_features.add(feature)
config.available_features.add("llvm" + config.llvm_major)
if config.aarch64_cc and "NOTFOUND" not in config.aarch64_cc and "NOTFOUND" not in config.qemu_aarch64:
    config.available_features.add("qemu-aarch64")
if full:
    config.available_features.add("full")
if sanitized:
    config.available_features.add("asan")
