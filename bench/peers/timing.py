"""Measures one point: checks every side's output against ours, then lets all take turns."""
import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

MEMORY = 6 << 30        # a side that needs more is left out
SHORT = 0.02            # seconds: shorter calls are repeated within a turn


@dataclass
class Side:
    """One way to compute a point. make returns a call without arguments; calls: the tokens that
    one call stands for; ours: attnc itself, with the FLOPs it does; growth: time as a power of n,
    for what to expect."""
    name: str
    make: Callable
    bytes: int = 0
    ours: bool = False
    flops: int = 0
    growth: float = 2
    compiles: bool = False
    calls: int = 1
    heads_inside: bool = False      # the output is [b, n, h, D]


@dataclass
class Point:
    """One line of a table: sides that compute the same."""
    row: str
    label: str
    n: int
    sides: list
    tolerance: float = 1e-4
    more: dict = field(default_factory=dict)


def as_numpy(result):
    """The result of any library as an array."""
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    return np.asarray(result)


def difference(result, reference):
    """The largest error relative to the largest output; inf if shapes differ or it is a NaN."""
    if result.shape != reference.shape:
        return float("inf")
    error = float(np.abs(result - reference).max() / np.abs(reference).max())
    return error if error == error else float("inf")


def reason(problem):
    """One line that says what went wrong."""
    lines = [line for line in str(problem).splitlines() if line.strip()]
    return (type(problem).__name__ + ": " + (lines[0].strip() if lines else ""))[:160]


class Meter:
    """Measures points with so many rounds; budget: seconds per side, limit: seconds per call."""

    def __init__(self, options, threads, peak, tell, skip):
        self.options, self.threads, self.peak, self.tell = options, threads, peak, tell
        self.skip = skip
        self.seen = {}      # (label, side) -> (n, seconds), to foretell the next length

    def guess(self, point, side):
        """The seconds a call should take by what a shorter one took; 0 if there was none."""
        n, seconds = self.seen.get((point.label, side.name), (point.n, 0))
        return seconds * (point.n / n) ** side.growth

    def prepare(self, point, side, reference):
        """The side's call, its result and its expected time, or a note why there is none."""
        if f"{point.label} {point.n} {side.name}" in self.skip:
            return None, None, "ended the process"
        if side.bytes > MEMORY:
            return None, None, f"needs {side.bytes / (1 << 30):.0f} GiB"
        guess = self.guess(point, side)
        if guess > self.options.limit:
            return None, None, f"would take {guess:.0f} s"
        self.tell({"kind": "start", "side": f"{point.label} {point.n} {side.name}"})
        try:
            call = side.make()
            start = time.perf_counter()
            result = as_numpy(call())
            taken = time.perf_counter() - start
            if side.heads_inside:
                result = result.swapaxes(1, 2)
        except Exception as problem:  # whatever a peer does not like, the rest goes on
            return None, None, "not available: " + reason(problem)
        if reference is not None:
            error = difference(result, reference)
            if not error <= point.tolerance:
                return None, result, f"differs by {error:.1e}"
        if taken < 0.5 or side.compiles and guess < 10:
            start = time.perf_counter()
            call()
            taken = time.perf_counter() - start
        self.seen[point.label, side.name] = (point.n, taken)
        return (call, taken), result, None

    def turns(self, taken):
        """How many turns a side gets whose call takes so long."""
        least = 3 if taken < 1 else 2 if taken < 3 else 1
        most = max(int(self.options.budget / max(taken, SHORT)), least)
        return min(self.options.rounds, most)

    def turn(self, call, taken):
        """Seconds per call in one turn. Other libraries' threads that still spin get time to
        sleep, then a call that is not counted wakes this one's."""
        if self.threads > 1:
            time.sleep(0.03)
        if taken < 0.25:
            call()
        inner = max(1, int(SHORT / max(taken, 1e-7)))
        start = time.perf_counter()
        for _ in range(inner):
            call()
        return (time.perf_counter() - start) / inner

    def measure(self, point):
        """The point with all its sides, as a dictionary."""
        results, ready, reference = {}, [], None
        for side in point.sides:
            made, result, note = self.prepare(point, side, reference)
            entry = results[side.name] = {"ours": side.ours, "note": note, "times": [],
                                          "flops": side.flops}
            if reference is None and result is not None and side.ours:
                reference = result
            elif result is not None and reference is not None:
                entry["error"] = difference(result, reference)
            del result
            if made:
                ready.append((side, made, self.turns(made[1]), entry))
            if reference is None:
                break
        gc.collect()
        peaks = self.rounds(point, ready)
        for entry in results.values():
            times = entry.pop("times")
            entry["rounds"] = len(times)
            entry["ms"] = 1e3 * statistics.median(times) if times else None
        return {"kind": "point", "row": point.row, "label": point.label, "n": point.n,
                "threads": self.threads, "sides": results, "tolerance": point.tolerance,
                "peak": statistics.median(peaks) if peaks else None, **point.more}

    def rounds(self, point, ready):
        """Turns of all sides, each round begun by another; the peak is taken every time."""
        peaks = []
        for number in range(max((turns for _, _, turns, _ in ready), default=0)):
            peaks.append(self.peak())
            active = [r for r in ready if r[2] > number]
            shift = number % len(active)
            for side, (call, taken), _, entry in active[shift:] + active[:shift]:
                self.tell({"kind": "start", "side": f"{point.label} {point.n} {side.name}"})
                entry["times"].append(self.turn(call, taken) / side.calls)
        return peaks
