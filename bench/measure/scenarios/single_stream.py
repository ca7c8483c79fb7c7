"""One image at a time."""

from __future__ import annotations

from dataclasses import replace

from bench.measure.clock import Series, measure
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, latency_metrics, pooled
from bench.records import stats
from engines.abilities import TimesDevice
from export.spec import Metric


class SingleStream(Scenario):
    """One image at a time, the next as soon as the last is answered."""

    name = "single_stream"
    protocol = (
        "Batch 1, one query after another over at least 64 real images; host uint8 pixels in, host float32 features "
        "out. Percentiles only where LoadGen's rule grants enough samples (p90 64, p99 662)."
    )

    def run(self, setup: Setup) -> dict[str, Series]:
        session, settings, warm = setup.session, setup.settings, setup.warm
        images, count = setup.queries.batches(1), len(setup.queries)
        latency = measure(
            lambda i: session.run(images[i % count]), settings.warm_up, settings.stop(), setup.clock, warm.get(1)
        )
        warm.setdefault(1, latency)
        found = {"latency": latency}
        if isinstance(session, TimesDevice):
            device = [round(ms * 1e6) for image in images for ms in session.device_ms(image, 1)]
            found["device"] = replace(found["latency"], first=device[0], warm_up=[], samples=device)
        return found

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        return {"latency": 1}

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        found = latency_metrics(pooled(runs, "latency"))
        if device := pooled(runs, "device"):
            found.append(Metric.cost("device_p50_ms", stats.quantile(device, 0.5) / 1e6, "ms", n=len(device)))
        return found
