"""The highest rate that ``server`` finds, beside a fine grid of rates over the same arrivals, stretched."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.figures.deployed import on_each_engine
from bench.figures.figure import Figure, figure
from bench.figures.photographs import imagenet
from bench.measure.arrivals import poisson
from bench.measure.issuer import issue
from bench.measure.queries import COUNT, Queries
from bench.measure.scenarios.base import Settings, Setup
from bench.measure.scenarios.catalog import scenario
from bench.records.stats import min_samples
from export.errors import UserError
from export.store import Store

BACKBONE = "efficientnet_lite0"
SECONDS, REPEATS = 3.0, 2
STEP, STEPS, TRIALS = 1.02, 8, 2
"""The grid: so many steps of 2 % to either side of what was found, and trials at each."""
LONGEST_S = 180.0
CLOSE = 0.05


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """Two for each engine of the demo: the rate, and how long it took to find."""
    encoded = imagenet(store)[:COUNT]
    settings = Settings(SECONDS)
    for name, session, path in on_each_engine(store, BACKBONE, (1,)):
        queries = Queries(np.stack([path(e) for e in encoded]), encoded)
        setup = Setup(session, queries, settings, path)
        beside, took = [], []
        for repeat in range(REPEATS):
            begin = time.perf_counter()
            run = scenario("server").run(setup)
            took.append(time.perf_counter() - begin)
            main = scenario("server").metrics([run], settings)[0]
            if main.value is None:
                raise UserError(
                    f"{name} keeps no rate within {settings.slo}.", main.note, "make bench-self ARGS=server"
                )
            beside.append(main.value / grid(setup, main.value, repeat))
        trials = f"{TRIALS} trials at {2 * STEPS + 1} rates"
        how = f"EfficientNet-Lite0, {settings.slo}, {REPEATS} searches, each followed by {trials}"
        yield figure(
            f"Highest rate, search / grid in steps of {STEP - 1:.0%} ({name})",
            beside,
            f"1 ± {CLOSE:g}",
            lambda v: abs(v - 1) <= CLOSE,
            how,
        )
        yield figure(
            f"Search for the highest rate, s ({name})", took, f"≤ {LONGEST_S:g}", lambda v: v <= LONGEST_S, how
        )


def grid(setup: Setup, around: float, seed: int) -> float:
    """The highest rate of the grid that keeps the bound, by trials at each in a random order, so that a machine that
    becomes slower is not taken for a rate that is too high. One step below the grid, where none does."""
    images, slo = setup.queries.batches(1), setup.settings.slo
    rates = [around * STEP**step for step in range(-STEPS, STEPS + 1)]
    kept = dict.fromkeys(rates, 0)
    for rate in random.Random(seed).sample(rates * TRIALS, TRIALS * len(rates)):
        queries = max(min_samples(slo.quantile), math.ceil(rate * setup.settings.seconds))
        seen = issue(
            poisson(rate, queries, setup.settings.seed),
            lambda first, _: setup.session.run(images[first % len(images)]),
            setup.clock,
            setup.wait,
            bound_ns=slo.bound_ns,
            late=slo.late(queries),
        )
        kept[rate] += not seen.given_up
    return [rates[0] / STEP, *rates][turn([kept[rate] for rate in rates], TRIALS)]


def turn(kept: Sequence[int], trials: int) -> int:
    """How many of the lowest rates keep the bound, where the fewest trials say otherwise.

    One stall of the machine breaks a rate that is far too low: the lowest rate that broke says little.

    Args:
        kept: trials at each rate that kept it, of so many.
    """
    wrong = [sum(trials - k for k in kept[:n]) + sum(kept[n:]) for n in range(len(kept) + 1)]
    best = [n for n, count in enumerate(wrong) if count == min(wrong)]
    return best[len(best) // 2]
