"""Several images at once, as from several cameras."""

from __future__ import annotations

from typing import Any

from bench.measure.clock import Series, measure
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, latency_metrics, pooled
from export.spec import Metric


class MultiStream(Scenario):
    """A bundle of images is one query, answered when all of it is."""

    name = "multi_stream"
    protocol = (
        "A query is a bundle of images; the next follows as soon as the last is answered. It is run in the largest "
        "batches of the plan that it fills, one after another; latency is that of the whole bundle."
    )

    def asks(self, settings: Settings) -> dict[str, Any]:
        return {"bundle": settings.bundle}

    def run(self, setup: Setup) -> dict[str, Series]:
        session, queries, settings = setup.session, setup.queries, setup.settings
        sizes = parts(settings.bundle, session.plan.profile.batches)
        batches = {size: queries.batches(size) for size in sizes}
        count = len(queries)

        def query(i: int) -> None:
            at = i * settings.bundle
            for size in sizes:
                session.run(batches[size][at % count])
                at += size

        # a bundle of one batch is what other scenarios may have warmed up
        [size] = set(sizes) if len(sizes) == 1 else {0}
        bundle = measure(query, settings.warm_up, settings.stop(), setup.clock, setup.warm.get(size))
        if size:
            setup.warm.setdefault(size, bundle)
        return {"bundle": bundle}

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        return {"bundle": settings.bundle}

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        return latency_metrics(pooled(runs, "bundle"), "multi_stream")


def parts(bundle: int, batches: tuple[int, ...]) -> list[int]:
    """The batches of a plan (ascending, from 1) that a bundle is run in, the largest first."""
    found: list[int] = []
    for size in reversed(batches):
        found += [size] * ((bundle - sum(found)) // size)
    return found
