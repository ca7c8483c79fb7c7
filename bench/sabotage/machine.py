"""Traps of timing that lie in the machine: heat, order, neighbours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import count
from statistics import mean, median
from typing import cast

from bench.measure import rounds
from bench.measure.worker import Job, Outcome
from bench.sabotage.bed import STREAM, Bed, inside, replaced
from bench.sabotage.trap import Answer, Traps, require, require_bite
from engines.base import Outputs, Pixels
from engines.ort.session import OrtSession
from engines.processor import cores
from export.store import write_atomic

MACHINE = Traps("timing")
CPU = "sys/devices/system/cpu"


@MACHINE.add(
    "throttled", 7, "thermal throttling", "a machine whose throttle counter rises during the timing", "refused"
)
def throttled(bed: Bed) -> Answer:
    """x86 counts its throttle events."""
    counter = f"{CPU}/cpu0/thermal_throttle/core_throttle_count"
    root = bed.root({counter: "3\n"}, "hot")
    return _void(bed, lambda run: write_atomic(root / counter, f"{3 + run}\n".encode()), inside(root))


@MACHINE.add("clock", 7, "a clock that is lowered", "a machine whose clock limit falls during the timing", "refused")
def clock(bed: Bed) -> Answer:
    """Whoever lowered it."""
    policy = f"{CPU}/cpufreq/policy0"
    root = bed.root({f"{policy}/scaling_max_freq": "3000000", f"{policy}/cpuinfo_max_freq": "3000000"}, "capped")
    limit = root / policy / "scaling_max_freq"
    return _void(bed, lambda run: write_atomic(limit, str(max(10**6, 3 * 10**6 - 5000 * run)).encode()), inside(root))


def _void(bed: Bed, inject: Callable[[int], object], measure: Callable[[Job], Outcome]) -> Answer:
    """The machine slows down with every run of a timing."""
    true, number = OrtSession._run, count()

    def run(self: OrtSession, pixels: Pixels) -> Outputs:
        inject(next(number))
        return true(self, pixels)

    with replaced(OrtSession, "_run", run):
        row = bed.sweep(measure, scenarios=(STREAM,), repeats=1).row()
    require_bite(next(number) > 5, "nothing was injected")
    require(not row.timings, "the timing stands in the table")
    return Answer("refused", row.judge()[1], "slow samples are averaged in")


@MACHINE.add(
    "order", 8, "order effects", "four equal cells; the one after the first is 30 % slower, for heat", "flagged"
)
def order(bed: Bed) -> Answer:
    """Simulated over the harness's own order of repeats."""
    cells, repeats = 4, 6
    ours: dict[int, list[float]] = {cell: [] for cell in range(cells)}
    with replaced(rounds, "_whole", lambda *_: Outcome()):
        jobs: list[list[Job]] = [[cast(Job, None)] * repeats] * cells
        turns = [turn for turn, _ in rounds.measured(jobs, lambda *_: bed.folder / "none", 0, lambda index: False)]
    before = -1
    for turn in turns:
        ours[turn.index].append(1.3 if before == 0 else 1.0)
        before = turn.index
    naive = {cell: [1.3 if cell == 1 else 1.0] * repeats for cell in range(cells)}
    require_bite(len(set(naive[1])) == 1 and mean(naive[1]) == 1.3, f"{naive}")
    struck = {cell: values for cell, values in ours.items() if max(values) > 1}
    require(len(struck) > 1 and all(min(values) == 1 for values in struck.values()), f"{ours}")
    spread = max(100 * (max(values) - min(values)) / median(values) for values in struck.values())
    said = f"{len(struck)} of {cells} cells share it, and a repeat spread of {spread:.0f} % is flagged"
    return Answer("flagged", said, "cell after cell: the second is 30 % slower, without any spread")


@MACHINE.add(
    "neighbour", 14, "somebody else on the machine", "a busy process on every core during the timing", "flagged"
)
def neighbour(bed: Bed) -> Answer:
    """Their share of the cores is watched while the child measures."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores())]
    try:
        run = bed.sweep(scenarios=(STREAM,), repeats=1, seconds=1.0)
        require_bite(all(process.poll() is None for process in busy), "the neighbour has gone")
    finally:
        for process in busy:
            process.kill()
            process.wait()
    flags = [str(flag) for flag in run.row().flags if "other processes" in flag.text]
    require(bool(flags), f"no flag: {run.row().flags}")
    return Answer("flagged", flags[0], "a median among others")
