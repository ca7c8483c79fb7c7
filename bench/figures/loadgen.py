"""The issuer judged by MLCommons' LoadGen: one session, one rate and one schedule of arrivals, issued by both in turn;
and what the issuer itself adds to a query that takes no time.
"""

from __future__ import annotations

import contextlib
import queue
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from bench.figures.deployed import deployed, on_each_engine
from bench.figures.figure import Figure, figure
from bench.figures.photographs import imagenet
from bench.measure.arrivals import poisson
from bench.measure.clock import CLOCK, wait_until, without_collector
from bench.measure.issuer import Serve, issue
from bench.measure.queries import COUNT, Queries
from bench.records.stats import min_samples, quantile
from engines.base import EngineSpec, Session
from engines.catalog import BASELINE
from export.errors import not_installed
from export.progress import say
from export.store import Store

BACKBONE = "efficientnet_lite0"
SECONDS, REPEATS = 10.0, 7
BUSY = 0.6
"""The rate, as a part of what the session can answer at the most."""
CLOSE = 0.02
NULL_RATE, NULL_MS = 1000.0, 0.02
PERCENTILES = {"p50": 0.5, "p99": 0.99}
LINE = r"^{}.00 percentile latency \(ns\)\s*:\s*(\d+)"


def figures(store: Store, shared: Path) -> Iterator[Figure]:
    """The issuer's own cost, then p50 and p99 beside LoadGen's on each engine of the demo."""
    encoded = imagenet(store)[:COUNT]
    nothing = deployed(store, BACKBONE, EngineSpec(BASELINE), (1,))
    queries = Queries(np.stack([nothing.path(e) for e in encoded]), encoded)
    with nothing.load() as session:
        yield from alone(runs(session, queries))
    try:
        import mlperf_loadgen  # noqa: F401
    except ImportError as error:
        say(f"the issuer is not compared with LoadGen: {not_installed('mlperf_loadgen', error)}")
        return
    for name, session, _ in on_each_engine(store, BACKBONE, (1,)):
        yield from beside(session, queries, name)


def runs(session: Session, queries: Queries) -> Serve:
    """What runs one image of the rotation."""
    images = queries.batches(1)
    return lambda first, _: session.run(images[first % len(images)])


def alone(serve: Serve) -> Iterator[Figure]:
    """Latency on the engine that does nothing, with the issuer's thread running the query, and with another one."""
    arrivals = poisson(NULL_RATE, round(NULL_RATE * SECONDS), 0)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(REPEATS):
        ours.append(quantile(issue(arrivals, serve).latency, 0.99) / 1e6)
        bare.append(quantile(punctuality(arrivals), 0.99) / 1e6)
    how = f"Poisson arrivals, {NULL_RATE:g} a second for {SECONDS:g} s, {REPEATS} repeats"
    yield figure("Issuer on null, p99 in ms", ours, f"≤ {NULL_MS:g}", lambda v: v <= NULL_MS, how)
    yield figure(
        "A loop that only waits for the same arrivals, p99 in ms",
        bare,
        "none",
        lambda v: True,
        f"{how}, each after one of the issuer: what this machine allows",
    )
    with worker(serve) as handed:
        busy = [quantile(issue(arrivals, handed).latency, 0.99) / 1e6 for _ in range(REPEATS)]
    yield figure("Issuer on null with one worker thread, p99 in ms", busy, "none", lambda v: True, how)


def punctuality(arrivals: Sequence[int]) -> list[int]:
    """By how many ns each arrival is met too late by a loop that does nothing else."""
    with without_collector():
        begin = CLOCK()
        found = []
        for due in arrivals:
            wait_until(begin + due)
            found.append(CLOCK() - begin - due)
    return found


@contextlib.contextmanager
def worker(serve: Serve) -> Iterator[Serve]:
    """The same, run by a thread of its own that is given one query after another."""
    asked: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[object] = queue.SimpleQueue()

    def work() -> None:
        while query := asked.get():
            done.put(serve(*query))

    def hand_over(first: int, count: int) -> object:
        asked.put((first, count))
        return done.get()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield hand_over
    finally:
        asked.put(None)
        thread.join()


def beside(session: Session, queries: Queries, name: str) -> Iterator[Figure]:
    """p50 and p99 of both issuers over the same arrivals, as ratios."""
    serve = runs(session, queries)
    service = issue([0] * (4 * COUNT), serve).service[COUNT:]
    rate = BUSY / (median(service) / 1e9)
    count = max(min_samples(PERCENTILES["p99"]), round(rate * SECONDS))
    seen: dict[str, list[float]] = {name: [] for name in PERCENTILES}
    spread: dict[str, list[float]] = {name: [] for name in PERCENTILES}
    for seed in range(REPEATS):
        arrivals = schedule(rate, count, seed)

        def own(arrivals: Sequence[int] = arrivals) -> dict[str, float]:
            latency = issue(arrivals, serve).latency
            return {name: quantile(latency, q) for name, q in PERCENTILES.items()}

        def theirs(seed: int = seed) -> dict[str, float]:
            return judged(serve, rate, count, seed)

        first, second = (own, theirs) if seed % 2 else (theirs, own)
        a, b = first(), second()
        ours, judge = (a, b) if seed % 2 else (b, a)
        again = theirs()
        for percentile in PERCENTILES:
            seen[percentile].append(ours[percentile] / judge[percentile])
            spread[percentile].append(again[percentile] / judge[percentile])
    for percentile, values in seen.items():
        own_spread = max(abs(value - 1) for value in spread[percentile])
        allowed = max(CLOSE, own_spread)
        yield figure(
            f"Server {percentile}, our issuer / LoadGen ({name})",
            values,
            f"1 ± {CLOSE:g}, or LoadGen's own spread from run to run ({own_spread:.3f})",
            lambda v, allowed=allowed: abs(v - 1) <= allowed,  # type: ignore[misc]
            f"EfficientNet-Lite0, {count} queries at {rate:.1f} a second, {REPEATS} schedules, each issued by both",
        )


def schedule(rate: float, count: int, seed: int) -> list[int]:
    """The arrivals that LoadGen draws: libstdc++'s exponential distribution over its mt19937, in ns, the first at 0."""
    generator = np.random.MT19937()
    generator._legacy_seeding(seed)
    draws = generator.random_raw(2 * (count - 1)).astype(np.float64)
    unit = (draws[0::2] + draws[1::2] * 2.0**32) / 2.0**64
    gaps = np.floor(-np.log1p(-unit) / rate * 1e9).astype(np.int64)
    found: list[int] = [0, *gaps.cumsum().tolist()]
    return found


def judged(serve: Serve, rate: float, count: int, seed: int) -> dict[str, float]:
    """p50 and p99 in ns, as LoadGen sees them in its scenario Server."""
    import mlperf_loadgen as loadgen

    def answer(samples: Sequence[object]) -> None:
        for sample in samples:
            serve(sample.index, 1)  # type: ignore[attr-defined]
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])  # type: ignore[attr-defined]

    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = loadgen.TestScenario.Server, loadgen.TestMode.PerformanceOnly
    settings.server_target_qps, settings.schedule_rng_seed = rate, seed
    settings.server_target_latency_ns = 10**12
    settings.min_query_count = settings.max_query_count = count
    settings.min_duration_ms = 0
    system = loadgen.ConstructSUT(answer, _nothing)
    library = loadgen.ConstructQSL(COUNT, COUNT, _nothing, _nothing)
    with tempfile.TemporaryDirectory(prefix="backbones-") as folder:
        output = loadgen.LogOutputSettings()
        output.outdir, output.copy_summary_to_stdout = folder, False
        logs = loadgen.LogSettings()
        logs.log_output, logs.enable_trace = output, False
        try:
            loadgen.StartTestWithLogSettings(system, library, settings, logs)
        finally:
            loadgen.DestroyQSL(library)
            loadgen.DestroySUT(system)
        said = Path(folder, "mlperf_log_summary.txt").read_text()
    return {name: float(_said(said, round(100 * q))) for name, q in PERCENTILES.items()}


def _nothing(*_: object) -> None:
    """LoadGen asks for functions that have nothing to do here."""


def _said(summary: str, percent: int) -> str:
    found = re.search(LINE.format(percent), summary, re.MULTILINE)
    if not found:
        raise RuntimeError(f"LoadGen's summary has no {percent}th percentile:\n{summary}")
    return found[1]
