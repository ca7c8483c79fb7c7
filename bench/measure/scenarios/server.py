"""Queries of many users: how many a second can be answered within a bound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from bench.measure import queueing
from bench.measure.arrivals import poisson
from bench.measure.clock import Series, measure
from bench.measure.criterion import Stopped
from bench.measure.issuer import Issued, Queue, issue
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup
from bench.records.stats import min_samples, quantile
from export.spec import Metric

TRIALS = 8
CLOSE = 1.05
"""The search ends once the lowest rate that broke the bound is so near to the highest one below it that kept it."""
FASTEST = 10_000.0
"""Queries a second beyond which no rate is tried: the issuer's own cost would be a part of the answer."""
LONGEST = 15.0
"""A trial may last so many times ``seconds``: rates at which the percentile needs more time cannot be judged."""
OWN_SHARE = 0.02
"""A delay of the issuer's own is slow that is more of the bound than this. A trial is void that has more slow delays
than late queries are allowed: it is not the engine that would have failed it."""
SCHEDULES = 100
"""Other schedules of arrivals, to see how far they would have moved the answer."""
ALONE = "alone"


@dataclass(frozen=True)
class Tried:
    """One trial: its rate, and whether the bound was kept.

    Attributes:
        late_ms: the latency at the bound's percentile; None where it broke the bound before its end.
        own_ms: the issuer's own delay at that percentile.
        void: the issuer did not keep the rate: neither kept nor broken.
    """

    rate: float
    kept: bool
    void: bool
    late_ms: float | None
    own_ms: float


class Server(Scenario):
    """An open loop: queries come by a Poisson process, whether the last one is answered or not."""

    name = "server"
    once = True
    protocol = (
        "Batch 1 queries at times drawn beforehand from a seeded Poisson process; latency counts from the scheduled "
        "time, so that a slow answer delays no later query. The main figure is the highest rate whose percentile stays "
        "under the bound, found by trials at different rates over one schedule, stretched; a trial lasts for at least "
        "the queries that the percentile needs. With a queue, waiting queries are run as one batch. The interval holds "
        "the last trials on both sides, and what 100 other schedules would have given for the service times seen."
    )

    def asks(self, settings: Settings) -> dict[str, Any]:
        return {"slo": str(settings.slo), "queue_ms": settings.queue_ms}

    def takes(self, settings: Settings) -> float:
        return 20 * settings.seconds

    def run(self, setup: Setup) -> dict[str, Series]:
        settings, session, clock = setup.settings, setup.session, setup.clock
        sizes = session.plan.profile.batches if settings.queue_ms else (1,)
        batches = {size: setup.queries.batches(size) for size in sizes}

        def serve(first: int, count: int) -> object:
            size = next(size for size in sizes if size >= count)
            return session.run(batches[size][first % len(setup.queries)])

        alone = measure(lambda i: serve(i, 1), settings.warm_up, settings.stop(2), clock, setup.warm.get(1))
        for size in sizes[1:]:  # so that no trial meets a cold batch size
            measure(lambda i, size=size: serve(i, size), settings.warm_up, settings.stop(8), clock)  # type: ignore[misc]
        setup.warm.setdefault(1, alone)
        found = {ALONE: alone}
        if _unreachable(alone.samples, settings):
            return found
        queue = Queue(sizes[-1], round(settings.queue_ms * 1e6))
        rate: float | None = _guess(alone.samples, sizes[-1], settings)
        while rate:
            queries = _queries(rate, settings)
            arrivals = poisson(rate, queries, settings.seed)
            late = settings.slo.late(queries)
            seen = issue(arrivals, serve, clock, setup.wait, queue, settings.slo.bound_ns, late)
            number = (len(found) + 2) // 3
            found |= _series(number, rate, seen, queries, alone)
            tried = list(trials(found, settings))
            rate = following(tried, settings, _guess(seen.service, sizes[-1], settings))
        return found

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        [run] = runs
        tried = list(trials(run, settings))
        best = highest(tried)
        return {f"trial_{tried.index(best) + 1}": 1} if best else {}

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        [run] = runs
        tried = list(trials(run, settings))
        best = highest(tried)
        low, high, why = _interval(run, tried, settings)
        percentile = settings.slo.percentile.replace(".", "_")
        queries = _queries(best.rate, settings) if best else None
        return [
            Metric.gain("server_images_per_s", best.rate if best else None, "images/s", queries, note=why),
            Metric.gain("server_low_images_per_s", low, "images/s", note=why),
            Metric.gain("server_high_images_per_s", high, "images/s", note=why),
            Metric.cost(f"server_{percentile}_ms", best.late_ms if best else None, "ms", queries, note=why),
            Metric.cost("issuer_delay_ms", max((t.own_ms for t in tried), default=None), "ms", len(tried)),
        ]


def trials(run: Mapping[str, Series], settings: Settings) -> Iterator[Tried]:
    """The trials of a run, in order."""
    for number in count(1):
        if f"trial_{number}" not in run:
            return
        seen, own = run[f"trial_{number}"], run[f"delay_{number}"]
        broke, slow = seen.stopped.timeout, OWN_SHARE * settings.slo.bound_ns
        yield Tried(
            seen.rate,
            not broke,
            sum(delay > slow for delay in own.samples) > settings.slo.late(_queries(seen.rate, settings)),
            None if broke else quantile(seen.samples, settings.slo.quantile) / 1e6,
            quantile(own.samples, settings.slo.quantile) / 1e6,
        )


def highest(tried: Sequence[Tried]) -> Tried | None:
    """The trial with the highest rate that kept the bound below all rates that broke it; None where there is none."""
    broken = min((t.rate for t in tried if not t.kept and not t.void), default=math.inf)
    return max((t for t in tried if t.kept and not t.void and t.rate < broken), key=lambda t: t.rate, default=None)


def following(tried: Sequence[Tried], settings: Settings, guess: float) -> float | None:
    """The next rate to try; None once the bracket is narrow, the trials are spent, or no rate is left to judge.

    Args:
        guess: what the last trial's service times predict.
    """
    if len(tried) >= TRIALS:
        return None
    last, best = tried[-1], highest(tried)
    broken = [t.rate for t in tried if not t.kept and not t.void]
    if last.void:  # once again, unless it was void twice
        return last.rate if [t.rate for t in tried].count(last.rate) < 2 else None
    slowest, step = _slowest(settings), float(CLOSE**2 ** (len(tried) - 1))
    if best and broken:
        return math.sqrt(best.rate * min(broken)) if min(broken) / best.rate > CLOSE else None
    if best:  # wider steps upwards, as long as all is kept
        return min(max(best.rate * step, min(guess, 2 * best.rate)), FASTEST) if best.rate < FASTEST else None
    if min(broken) <= slowest:
        return None
    return max(min(min(broken) / step, max(guess, min(broken) / 2)), slowest)


def _guess(service: Sequence[int], most: int, settings: Settings) -> float:
    """The rate to begin or go on with: what a queue makes of the service times, within what can be tried."""
    mean = sum(service) / len(service) / 1e9
    if most > 1 or mean * FASTEST < 0.5:
        predicted = 0.5 / mean
    else:
        predicted = float(queueing.highest_rates(service, settings.slo, _least(settings), settings.seed)[0])
    return min(max(predicted, _slowest(settings)), FASTEST)


def _least(settings: Settings) -> int:
    """Queries without which the bound's percentile is not given."""
    return min_samples(settings.slo.quantile)


def _slowest(settings: Settings) -> float:
    """The lowest rate that can be judged: its trial lasts as long as one may."""
    return _least(settings) / (LONGEST * settings.seconds)


def _queries(rate: float, settings: Settings) -> int:
    return max(_least(settings), math.ceil(rate * settings.seconds))


def _series(number: int, rate: float, seen: Issued, queries: int, alone: Series) -> dict[str, Series]:
    """A trial's latencies, the runs' own times, and the issuer's delays."""
    answered = f"{len(seen.latency)} of {queries} queries"
    why = Stopped(seen.given_up, f"too many late: {answered}" if seen.given_up else answered, None)
    parts = {"trial": seen.latency, "service": seen.service, "delay": seen.delay}
    return {
        f"{name}_{number}": Series(alone.first, [], samples, alone.settled, seen.begin_ns, seen.end_ns, why, rate)
        for name, samples in parts.items()
    }


def _unreachable(alone: Sequence[int], settings: Settings) -> str:
    """Why no rate can keep the bound; empty where one may."""
    median = quantile(alone, 0.5) / 1e6
    if median <= settings.slo.ms:
        return ""
    return f"the bound {settings.slo} is below the service time, {median:.3g} ms: no rate keeps it"


def _interval(
    run: Mapping[str, Series], tried: Sequence[Tried], settings: Settings
) -> tuple[float | None, float | None, str]:
    """The lowest and the highest rate that the answer may be, and what a reader has to know of it."""
    if why := _unreachable(run[ALONE].samples, settings):
        return None, None, why
    best = highest(tried)
    if best is None:
        if all(t.void for t in tried):
            return None, None, f"void: the issuer was up to {max(t.own_ms for t in tried):.3g} ms late"
        low = min(t.rate for t in tried)
        return None, low, f"{low:.3g} queries a second broke the bound; fewer need more --seconds"
    above = [t.rate for t in tried if t.rate > best.rate and not t.void]
    if not above:
        ended = f"no higher rate was tried in {TRIALS} trials"
        why = "the fastest rate that is tried" if best.rate >= FASTEST else ended
        return best.rate, None, why
    low, high = best.rate, max(above)
    if settings.queue_ms == 0:
        number = tried.index(best) + 1
        service = run[f"service_{number}"].samples
        others = queueing.highest_rates(service, settings.slo, len(service), settings.seed + 1, SCHEDULES)
        low, high = min(low, quantile(others.tolist(), 0.025)), max(high, quantile(others.tolist(), 0.975))
    return low, high, f"{settings.slo}, {len(tried)} trials"
