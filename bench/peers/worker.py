"""Measures one row at one number of threads, in a process of its own that the driver binds to as
many cores: worker.py ROW THREADS, options as JSON on standard input; answers are lines of JSON."""
import json
import os
import sys
import warnings
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def main():
    """Reads what to do, prints what was measured."""
    row, threads = sys.argv[1], int(sys.argv[2])
    options = SimpleNamespace(**json.load(sys.stdin))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)       # whatever libraries print is for the log

    def tell(event):
        answers.write(json.dumps(event) + "\n")
        answers.flush()
    warnings.filterwarnings("ignore")
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    import ours
    library = ours.Library(options.build, threads)
    if row == "versions":
        import versions
        return tell({"kind": "versions", **versions.collect(library, ROOT)})
    if row == "W10":
        import compile_time
        return compile_time.run(library, options, tell)
    from rows import Rows
    from timing import Meter
    meter = Meter(options, threads, ours.Peak(library, ROOT), tell, set(options.skip))
    for point in Rows(library, options.quick).points(row):
        tell(meter.measure(point))


if __name__ == "__main__":
    main()
