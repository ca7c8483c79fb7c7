"""All images at hand."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence

from bench.measure.clock import Series, measure
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, pooled
from engines.abilities import Streams
from engines.base import Pixels, Session
from export.spec import Metric


class Offline(Scenario):
    """All images at hand: how many a second, at each batch size of the plan."""

    name = "offline"
    protocol = (
        "Full batches back to back at each batch size of the plan; images/s is images over the sum of query times. A "
        "session that overlaps the copies of one batch with the work of another is streamed. "
        "The main figure is the best batch size's."
    )

    def run(self, setup: Setup) -> dict[str, Series]:
        session, settings = setup.session, setup.settings
        sizes = session.plan.profile.batches
        stop = settings.stop(parts=len(sizes))
        # streaming is other work than running one batch after another
        warm = {} if isinstance(session, Streams) else setup.warm
        found = {}
        for size in sizes:
            with full_batches(session, setup.queries.batches(size)) as query:
                series = measure(query, settings.warm_up, stop, setup.clock, warm.get(size))
            warm.setdefault(size, series)
            found[f"batch_{size}"] = series
        return found

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        sizes = {series: _size(series) for series in runs[0]}
        return dict(sorted(sizes.items(), key=lambda one: -_rate(one[0], runs)))

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        rates = []
        for series in runs[0]:
            name, n = f"throughput_b{_size(series)}_images_per_s", len(pooled(runs, series))
            rates.append(Metric.gain(name, _rate(series, runs), "images/s", n=n))
        best = max(rates, key=lambda m: m.value or 0.0)
        top = Metric.gain("throughput_images_per_s", best.value, "images/s", n=best.n, note=best.name)
        return [top, *rates]


def _size(series: str) -> int:
    return int(series.removeprefix("batch_"))


def _rate(series: str, runs: Runs) -> float:
    """Images a second."""
    values = pooled(runs, series)
    return _size(series) * len(values) / (sum(values) / 1e9)


@contextlib.contextmanager
def full_batches(session: Session, batches: Sequence[Pixels]) -> Iterator[Callable[[int], object]]:
    """The query that runs ``batches`` in turn; of a session that streams, it is the time from a result to the next."""
    if not isinstance(session, Streams):
        yield lambda i: session.run(batches[i % len(batches)])
        return
    with contextlib.closing(session.stream(itertools.cycle(batches))) as results:
        yield lambda i: next(results)
