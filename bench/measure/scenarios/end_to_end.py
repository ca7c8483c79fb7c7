"""From the encoded file to the features."""

from __future__ import annotations

from dataclasses import replace

from bench.measure.clock import Series, measure
from bench.measure.scenarios.base import Runs, Scenario, Settings, Setup, latency_metrics, pooled
from bench.records import stats
from export.spec import Metric


class EndToEnd(Scenario):
    """From the encoded file to the features, and what decoding and preprocessing alone take of it."""

    name = "end_to_end"
    protocol = (
        "Batch 1 from encoded bytes in memory: decode, resize and crop, run. The three parts are timed within the same "
        "queries, one after another on one thread (the engine uses its own threads). Where the device preprocesses, "
        "the last two are one."
    )

    def run(self, setup: Setup) -> dict[str, Series]:
        queries, preprocess, clock = setup.queries, setup.preprocess, setup.clock
        count = len(queries)
        decode: list[int] = []
        resize: list[int] = []

        def query(i: int) -> None:
            start = clock()
            encoded = queries.encoded[i % count]
            image = preprocess(encoded) if preprocess.on_device else preprocess.decode(encoded)
            decoded = clock()
            decode.append(decoded - start)
            if not preprocess.on_device:
                image = preprocess.resize(image)
                resize.append(clock() - decoded)
            preprocess.run(setup.session, [image])

        whole = measure(query, setup.settings.warm_up, setup.settings.stop(), clock)
        steady = len(whole.samples)
        found = {"end_to_end": whole}
        for name, parts in (("decode", decode), ("preprocess", resize)):
            if not parts:
                continue
            found[name] = replace(whole, first=parts[0], warm_up=parts[1:-steady], samples=parts[-steady:])
        return found

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        return {"end_to_end": 1}

    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        samples = {name: pooled(runs, name) for name in runs[0]}
        parts = [
            Metric.cost(f"{name}_ms", stats.quantile(samples[name], 0.5) / 1e6, "ms", n=len(samples[name]))
            for name in ("decode", "preprocess")
            if name in samples
        ]
        whole = [
            Metric.cost(f"end_to_end_{m.name.removeprefix('latency_')}", m.value, m.unit, m.n, m.stderr, m.note)
            for m in latency_metrics(samples["end_to_end"])
        ]
        return whole[:1] + parts + whole[1:]
