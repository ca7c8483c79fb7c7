"""What a scenario is: a way of asking, and what its samples mean. MLPerf's words, no claim of compliance.

``run`` is executed in a child process of its own, around a fresh session; ``metrics`` is a pure function of the
series of all repeats. The boundary is the session's: host uint8 pixels in, host float32 features out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bench.measure.clock import CLOCK, Clock, Series, Wait, wait_until
from bench.measure.criterion import Stop, WarmUp
from bench.measure.queries import Queries
from bench.measure.slo import Slo
from bench.records import stats
from engines.base import Session
from engines.preprocess.base import Preprocess
from export.spec import Metric

Runs = Sequence[Mapping[str, Series]]
"""What each repeat saw: series by name, the same names in all."""


@dataclass(frozen=True)
class Settings:
    """How long to measure, and what the scenarios are asked.

    Attributes:
        seconds: the least for each series and repeat; it ends after four times as many in any case.
        samples: the least number wanted of it.
        index_size: vectors of an index that is searched.
        slo: the bound that the rate of ``server`` is held to.
        queue_ms: how long ``server`` lets a query wait for others that make a batch with it; 0: it makes no batches.
        bundle: images of a query of ``multi_stream``.
        fps: images a second of ``camera``, each a series.
        soak_seconds: the length of ``soak``.
        seed: of arrivals that are drawn.
    """

    seconds: float = 4.0
    samples: int = 64
    index_size: int = 100_000
    slo: Slo = field(default_factory=Slo)
    queue_ms: float = 0.0
    bundle: int = 8
    fps: tuple[int, ...] = (5, 30)
    soak_seconds: float = 600.0
    seed: int = 0

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
        wait: returns at a time of ``clock``.
    """

    session: Session
    queries: Queries
    settings: Settings
    preprocess: Preprocess
    clock: Clock = CLOCK
    warm: dict[int, Series] = field(default_factory=dict)
    wait: Wait = wait_until


class Scenario(ABC):
    """One way of asking, and how its samples are read.

    Attributes:
        alone: no more than the session and the images is in memory, so that the process's peak is the engine's.
        once: it is measured once, in a process of its own, and not in every repeat: it takes minutes, and has its own
            interval.
        heats: what heat does to it is its result: being throttled does not void it.
        of_features: it needs pooled features, and is not taken of a backbone with a head.
        on_board: it needs no library that a board lacks.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    protocol: ClassVar[str]
    alone: ClassVar[bool] = True
    once: ClassVar[bool] = False
    heats: ClassVar[bool] = False
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

    def takes(self, settings: Settings) -> float:
        """Seconds, about: a series warms up for as long as it is measured, or less; some have three."""
        return 3 * settings.seconds

    def sizes(self, width: int, settings: Settings) -> list[Metric]:
        """Costs that follow from the features' width, and need no clock."""
        return []

    def lasts(self, settings: Settings) -> float:
        """Seconds that its longest series takes at the least."""
        return settings.seconds

    def metered(self, runs: Runs, settings: Settings) -> dict[str, int]:
        """The series that have an energy → images of each of their samples; that of the main figure first.

        Not among them: what is a part of another series, and what asks for no image.
        """
        return {}

    @abstractmethod
    def run(self, setup: Setup) -> dict[str, Series]:
        """Measure; series by name. What is in ``setup.warm`` is not warmed up again, and what was is added."""

    @abstractmethod
    def metrics(self, runs: Runs, settings: Settings) -> list[Metric]:
        """Metrics of all repeats; the main metric first. One that there is no value of says why."""


def pooled(runs: Runs, name: str) -> list[int]:
    """The samples of one series in all repeats, in ns, in order; none where no repeat has it."""
    return [sample for run in runs if name in run for sample in run[name].samples]


def latency_metrics(samples: Sequence[int], name: str = "latency", noise: bool = True) -> list[Metric]:
    """p50, p90, p99 in ms and the relative spread, of samples in ns; a percentile without enough samples is None."""
    found = []
    for q in (0.5, 0.9, 0.99):
        need = stats.min_samples(q) if q > 0.5 else 1
        enough = len(samples) >= need
        found.append(
            Metric.cost(
                f"{name}_p{q * 100:.0f}_ms",
                stats.quantile(samples, q) / 1e6 if enough else None,
                "ms",
                n=len(samples),
                note="" if enough else f"{len(samples)} of the {need} samples needed",
            )
        )
    if noise:
        found.append(Metric.cost("noise_percent", stats.noise(samples), "%", n=len(samples)))
    return found
