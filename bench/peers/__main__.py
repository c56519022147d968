"""attnc beside other systems: `make bench`, or build/bench/venv/bin/python bench/peers --help."""
import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import plots    # noqa: E402
import report   # noqa: E402

ROWS = ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W10")
# A process that dies is started again without the side that was at work, at most so often.
TRIES = 4


def arguments():
    """The command line."""
    p = argparse.ArgumentParser(prog="bench/peers", description=__doc__)
    p.add_argument("--only", metavar="W1,W4", help="these rows: " + " ".join(ROWS))
    p.add_argument("--rounds", type=int, default=7, help="turns of each side at most (7)")
    p.add_argument("--threads", metavar="1,2", help="numbers of threads (1 and all; --quick: 1)")
    p.add_argument("--budget", type=float, default=1, help="seconds for each side of a line (1)")
    p.add_argument("--limit", type=float, default=20,
                   help="leave out what one call is expected to take longer for (20 s)")
    p.add_argument("--quick", action="store_true", help="small sizes: shows that it works")
    p.add_argument("--out", metavar="DIR", help="where the results go (BUILD/bench)")
    p.add_argument("--build", default="build", help="the folder attnc was built in (build)")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.out = os.path.abspath(o.out or os.path.join(o.build, "bench"))
    o.rows = o.only.upper().split(",") if o.only else list(ROWS)
    cores = sorted(os.sched_getaffinity(0))
    try:
        o.counts = [int(t) for t in o.threads.split(",")] if o.threads else \
            sorted({1} if o.quick else {1, len(cores)})
    except ValueError:
        p.error("--threads wants numbers: 1,2")
    for row in o.rows:
        if row not in ROWS:
            p.error(f"no row {row}; there are {' '.join(ROWS)}")
    if min(o.counts) < 1 or max(o.counts) > len(cores) or o.rounds < 1:
        p.error(f"threads must be 1 to {len(cores)}, rounds 1 or more")
    return o


def environment(options, threads):
    """Of a worker: every library is told the number of threads, none a foreign processor."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("OPENBLAS_", "MKL_", "OMP_", "ATTN_"))}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env[name] = str(threads)
    env["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(options.build, "bench", "inductor")
    env["JAX_PLATFORMS"] = "cpu"
    env["PATH"] = os.path.dirname(sys.executable) + os.pathsep + env.get("PATH", "")
    return env


def bound(cores):
    """What a worker does before it becomes one: to its cores, and to end when this process ends."""
    os.sched_setaffinity(0, cores)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Driver:
    """Starts the workers and keeps what they tell."""

    def __init__(self, options):
        self.options = options
        self.versions, self.points, self.problems = {}, [], []
        self.started = time.time()
        self.log = open(os.path.join(options.out, "peers.log"), "w", encoding="utf-8")

    def say(self, text):
        """A line of progress."""
        print(f"[{time.time() - self.started:4.0f} s] {text}", flush=True)

    def worker(self, row, threads, skip):
        """Runs a row in a process bound to as many cores; returns the side at which it died, or
        None."""
        cores = set(sorted(os.sched_getaffinity(0))[-threads:])
        o = self.options
        process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "worker.py"), row, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=environment(o, threads), start_new_session=True,
            preexec_fn=lambda: bound(cores))
        at = "its start"
        try:
            process.stdin.write(json.dumps({
                "build": o.build, "rounds": o.rounds, "budget": o.budget, "limit": o.limit,
                "quick": o.quick, "threads": threads, "skip": sorted(skip)}))
            process.stdin.close()
            for line in process.stdout:
                event = json.loads(line)
                at = event["side"] if event["kind"] == "start" else at
                self.keep(event)
            return at if process.wait() else None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def keep(self, event):
        """Takes what a worker told."""
        if event["kind"] == "versions":
            self.versions = {k: v for k, v in event.items() if k != "kind"}
        elif event["kind"] == "point":
            same = [p for p in self.points if all(p[k] == event[k] for k in
                                                  ("row", "label", "n", "threads"))]
            for old in same:
                self.points.remove(old)
            self.points.append(event)
            base = report.best(event)
            sides = ", ".join(f"{name} {report.cell(s, base)}"
                              for name, s in event["sides"].items())
            length = f"n {event['n']}, " if event["n"] else ""
            self.say(f"{event['row']} {event['label']}, {length}"
                     f"threads {event['threads']}: {sides}")

    def row(self, row, threads):
        """A row, started again without what ended the process."""
        skip = set()
        for _ in range(TRIES):
            died = self.worker(row, threads, skip)
            if died is None:
                return
            self.problems.append(f"{row}, threads {threads}: the process ended at {died}; "
                                 f"peers.log tells more")
            self.say(self.problems[-1])
            if died in skip or died == "its start":
                return
            skip.add(died)

    def run(self):
        """All rows; False if interrupted."""
        try:
            self.worker("versions", max(self.options.counts), ())
            for row in self.options.rows:
                for threads in self.options.counts if row != "W10" else self.options.counts[-1:]:
                    self.row(row, threads)
                self.write()
        except KeyboardInterrupt:
            self.problems.append("interrupted: later rows are missing")
            return False
        return True

    def write(self):
        """Reports and pictures of what there is."""
        report.write(self.options.out, self.versions, self.points, self.problems)
        plots.write(self.options.out, self.points)


def main():
    """Measures and writes; the exit code is 130 after Ctrl-C."""
    options = arguments()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    os.makedirs(options.out, exist_ok=True)
    driver = Driver(options)
    complete = driver.run()
    driver.write()
    driver.say(f"{os.path.join(options.out, 'peers.md')} has the tables, peers.json the numbers, "
               "*.svg the pictures")
    return 0 if complete else 130


if __name__ == "__main__":
    sys.exit(main())
