"""The highest rate that ``server`` finds, beside a fine grid of rates over the same arrivals, stretched."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
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
SECONDS, REPEATS = 3.0, 5
STEP, STEPS = 1.02, 8
"""The grid: so many steps of 2 % to either side of what was found."""
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
        how = f"EfficientNet-Lite0, {settings.slo}, {REPEATS} searches, each followed by {2 * STEPS + 1} rates"
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
    """The highest rate of the grid that keeps the bound below all that break it; one trial each, in a random order, so
    that a machine that becomes slower is not taken for a rate that is too high. One step below the grid, where none
    does."""
    images, slo = setup.queries.batches(1), setup.settings.slo
    rates = [around * STEP**step for step in range(-STEPS, STEPS + 1)]
    kept: dict[float, bool] = {}
    for rate in random.Random(seed).sample(rates, len(rates)):
        queries = max(min_samples(slo.quantile), math.ceil(rate * setup.settings.seconds))
        seen = issue(
            poisson(rate, queries, setup.settings.seed),
            lambda first, _: setup.session.run(images[first % len(images)]),
            setup.clock,
            setup.wait,
            bound_ns=slo.bound_ns,
            late=slo.late(queries),
        )
        kept[rate] = not seen.given_up
    broken = min((rate for rate in rates if not kept[rate]), default=math.inf)
    return max((rate for rate in rates if rate < broken), default=rates[0] / STEP)
