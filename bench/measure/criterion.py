"""When a measurement is warm, and when it has seen enough. Pure functions of samples and time; both always end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from export.errors import UserError


@dataclass(frozen=True)
class WarmUp:
    """Warm once the medians of the last two windows agree, or when the time for it is spent.

    Attributes:
        window: queries in a window.
        tolerance: largest relative difference of the two medians.
        seconds: time after which the measurement starts anyway (the record then says that it had not settled).
    """

    window: int = 8
    tolerance: float = 0.025
    seconds: float = 5.0

    def settled(self, samples: Sequence[int]) -> bool:
        """Whether the spread of ``samples`` (ns, oldest first, without the very first run) has settled."""
        if len(samples) < 2 * self.window:
            return False
        before = median(samples[-2 * self.window : -self.window])
        after = median(samples[-self.window :])
        return abs(after - before) <= self.tolerance * before

    def spent(self, elapsed_ns: int) -> bool:
        return elapsed_ns >= self.seconds * 1e9


class Noise:
    """The relative standard deviation of the samples so far, and how it has moved; O(1) in time and memory a sample.

    It is NVBench's measure, and not :func:`bench.records.stats.noise`: the interquartile range says how steady the
    middle is, while a mean and a p99 need a tail that has settled too.

    Attributes:
        count: samples so far.
        movement: of the value over the later half of the series: its standard deviation over its mean; infinite for
            fewer than seven samples.
    """

    KEPT = 64
    """Values at evenly spaced samples are kept, and every second one is dropped when they are so many."""

    def __init__(self) -> None:
        self.count, self.movement = 0, math.inf
        self._mean = self._squares = 0.0  # Welford 1962: the squares are of deviations from the mean
        self._kept: list[float] = []
        self._every = 1

    @property
    def value(self) -> float | None:
        """Standard deviation over mean, 0.01 being 1 %; None for fewer than two samples."""
        if self.count < 2:
            return None
        return math.sqrt(self._squares / (self.count - 1)) / self._mean if self._mean else 0.0

    def add(self, sample: int) -> None:
        """Take one sample, in ns."""
        self.count += 1
        off = sample - self._mean
        self._mean += off / self.count
        self._squares += off * (sample - self._mean)
        if self.count % self._every:
            return
        value = self.value
        if value is None:
            return
        self._kept.append(value)
        self.movement = _movement(self._kept[len(self._kept) // 2 :])
        if len(self._kept) == self.KEPT:
            self._kept = self._kept[1::2]
            self._every *= 2


def _movement(values: Sequence[float]) -> float:
    if len(values) < 4:
        return math.inf
    centre = fmean(values)
    return math.sqrt(fmean((v - centre) ** 2 for v in values)) / centre if centre else 0.0


@dataclass(frozen=True)
class Stopped:
    """Why a series ended.

    Attributes:
        timeout: its time was spent before the criterion was met.
        reason: why it stopped, with the numbers that decided.
        noise: relative standard deviation then, 0.01 being 1 %; None for fewer than two samples.
    """

    timeout: bool
    reason: str
    noise: float | None


@dataclass(frozen=True)
class Stop:
    """Stop once there was the time and there are the samples, and the noise is low or no longer moves.

    After NVBench's criterion ``stdrel``: a series on a busy machine never comes under the bound, and is finished when
    more samples would not change the noise estimate.

    Attributes:
        seconds: least time. samples: least number.
        limit: seconds after which the series ends in any case.
        noise: relative standard deviation that is low enough.
        movement: of the noise over the later half of the series that counts as none (:attr:`Noise.movement`). NVBench
            has 0.05, over the last 512 samples. Over half a series a rare slow sample moves it by more: with 0.05 one
            in a thousand keeps a quiet machine at it for 2.8 times the least time, with 0.1 for 1.2 times.
    """

    seconds: float
    samples: int
    limit: float
    noise: float = 0.005
    movement: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= self.limit:
            raise UserError(f"A measurement needs 0 < seconds ≤ limit, not {self.seconds} and {self.limit}.")

    def stopped(self, seen: Noise, elapsed_ns: int) -> Stopped | None:
        """Why the series ends after what was ``seen`` in that time; None while it goes on."""
        if elapsed_ns < self.seconds * 1e9:
            return None
        spent = elapsed_ns >= self.limit * 1e9
        noise = seen.value
        if noise is None or seen.count < self.samples:
            return Stopped(True, f"timeout: {seen.count} of {max(2, self.samples)} samples", noise) if spent else None
        if noise <= self.noise:
            return Stopped(False, f"noise {_percent(noise)} ≤ {_percent(self.noise)}", noise)
        if seen.movement <= self.movement:
            return Stopped(False, f"noise {_percent(noise)}, no longer moving ({_percent(seen.movement)})", noise)
        if not spent:
            return None
        moving = f"and still moving {_percent(seen.movement)}"
        if math.isinf(seen.movement):
            moving = f"after {seen.count} samples, too few to see it settle"
        return Stopped(True, f"timeout: noise {_percent(noise)} > {_percent(self.noise)} {moving}", noise)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
