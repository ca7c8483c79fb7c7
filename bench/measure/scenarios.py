"""What is timed, and what the samples mean: one class a scenario, MLPerf's words, no claim of compliance.

``run`` is executed in a child process of its own, around a fresh session; ``metrics`` is a pure function of the
samples of all repeats. The boundary is the session's: host uint8 pixels in, host float32 features out.
"""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from bench.measure.clock import CLOCK, Clock, Series, measure
from bench.measure.criterion import Stop, WarmUp
from bench.measure.queries import Queries
from bench.records import stats
from engines.abilities import Streams, TimesDevice
from engines.base import Pixels, Session
from engines.preprocess.base import Preprocess
from export.registry import Registry
from export.spec import Metric

Samples = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        seconds: the least for each series and repeat; it ends after four times as many in any case.
        samples: the least number wanted of it.
        index_size: vectors of an index that is searched.
    """

    seconds: float = 4.0
    samples: int = 64
    index_size: int = 100_000

    @property
    def warm_up(self) -> WarmUp:
        return WarmUp(seconds=self.seconds)

    def stop(self, parts: int = 1) -> Stop:
        return Stop(self.seconds / parts, self.samples if parts == 1 else 8, 4 * self.seconds / parts)


@dataclass(frozen=True)
class Setup:
    """What the scenarios of one process measure with.

    Attributes:
        warm: batch size → the first series of runs of that size, of any scenario.
    """

    session: Session
    queries: Queries
    settings: Settings
    preprocess: Preprocess
    clock: Clock = CLOCK
    warm: dict[int, Series] = field(default_factory=dict)


class Scenario(ABC):
    """One way of asking, and how its samples are read.

    Attributes:
        alone: no more than the session and the images is in memory, so that the process's peak is the engine's.
        of_features: it needs pooled features, and is not taken of a backbone with a head.
        on_board: it needs no library that a board lacks.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    protocol: ClassVar[str]
    alone: ClassVar[bool] = True
    of_features: ClassVar[bool] = False
    on_board: ClassVar[bool] = True

    def require(self) -> None:
        """Refuse a machine that lacks what the scenario needs.

        Raises:
            Unavailable: with how to change that.
        """

    def asks(self, settings: Settings) -> dict[str, Any]:
        """What else two timings must share to be compared (JSON values)."""
        return {}

    def sizes(self, width: int, settings: Settings) -> list[Metric]:
        """Costs that follow from the features' width, and need no clock."""
        return []

    @abstractmethod
    def run(self, setup: Setup) -> dict[str, Series]:
        """Measure; series by name. What is in ``setup.warm`` is not warmed up again, and what was is added."""

    @abstractmethod
    def metrics(self, samples: Samples) -> list[Metric]:
        """Metrics of the samples of all repeats; the main metric first."""


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

    def metrics(self, samples: Samples) -> list[Metric]:
        found = latency_metrics(samples["latency"])
        if device := samples.get("device"):
            found.append(Metric.cost("device_p50_ms", stats.quantile(device, 0.5) / 1e6, "ms", n=len(device)))
        return found


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

    def metrics(self, samples: Samples) -> list[Metric]:
        rates = []
        for series, values in samples.items():
            size = int(series.removeprefix("batch_"))
            rate = size * len(values) / (sum(values) / 1e9)
            rates.append(Metric.gain(f"throughput_b{size}_images_per_s", rate, "images/s", n=len(values)))
        best = max(rates, key=lambda m: m.value or 0.0)
        top = Metric.gain("throughput_images_per_s", best.value, "images/s", n=best.n, note=best.name)
        return [top, *rates]


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

    def metrics(self, samples: Samples) -> list[Metric]:
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


@contextlib.contextmanager
def full_batches(session: Session, batches: Sequence[Pixels]) -> Iterator[Callable[[int], object]]:
    """The query that runs ``batches`` in turn; of a session that streams, it is the time from a result to the next."""
    if not isinstance(session, Streams):
        yield lambda i: session.run(batches[i % len(batches)])
        return
    with contextlib.closing(session.stream(itertools.cycle(batches))) as results:
        yield lambda i: next(results)


def latency_metrics(samples: Sequence[int]) -> list[Metric]:
    """p50, p90, p99 in ms and the relative spread, of samples in ns; a percentile without enough samples is None."""
    found = []
    for q in (0.5, 0.9, 0.99):
        need = stats.min_samples(q) if q > 0.5 else 1
        enough = len(samples) >= need
        found.append(
            Metric.cost(
                f"latency_p{q * 100:.0f}_ms",
                stats.quantile(samples, q) / 1e6 if enough else None,
                "ms",
                n=len(samples),
                note="" if enough else f"{len(samples)} of the {need} samples needed",
            )
        )
    found.append(Metric.cost("noise_percent", stats.noise(samples), "%", n=len(samples)))
    return found


SCENARIOS: Registry[type[Scenario]] = Registry(
    "scenario",
    {
        "single_stream": "bench.measure.scenarios:SingleStream",
        "offline": "bench.measure.scenarios:Offline",
        "end_to_end": "bench.measure.scenarios:EndToEnd",
        "search": "bench.measure.search:Search",
    },
    listing="bob run --help",
)


def scenario(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        UserError: there is none; the nearest are suggested.
    """
    return SCENARIOS.get(name)()


def main_metric(name: str, series: Mapping[str, Series]) -> Metric:
    """The main metric of one run of the scenario ``name``."""
    return scenario(name).metrics({part: s.samples for part, s in series.items()})[0]


def headline(series: Mapping[str, Mapping[str, Series]]) -> str:
    """Scenario → its series: the main figure of each, in one line."""
    mains = {name: main_metric(name, parts) for name, parts in series.items()}
    return ", ".join(f"{name} {m.value:.2f} {m.unit}" if m.value is not None else name for name, m in mains.items())
