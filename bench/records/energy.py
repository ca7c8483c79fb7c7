"""The part of a timing's record that says what it took in joules."""

from __future__ import annotations

from dataclasses import dataclass, field

PER_IMAGE, POWER, IDLE = "energy_mj_per_image", "power_w", "idle_w"
"""The metrics of a scenario: beyond the idle power; with it; and that alone."""


def of_energy(metric: str) -> bool:
    """Whether a metric depends on the domain that was read: of several series, each has its own energy besides."""
    return metric in (POWER, IDLE) or (metric.startswith("energy_") and metric.endswith("_mj_per_image"))


@dataclass(frozen=True)
class EnergyWindow:
    """What the sensors had of one series' window.

    Attributes:
        series: its name. repeat: which child process it was in, from 0.
        images: that were answered in it.
        seconds: from its begin to its end.
        joules: of the domains that are added up; idle power is not subtracted.
        idle_before_w, idle_after_w: the machine's power before the child process began and after it ended; None where
            unknown.
        by_domain: joules of each domain that the sensors have, those that are not added up included.
        steps: of the counter within the window; of a sensor of power, its readings.
        why: why the window does not count; empty where it does.
    """

    series: str
    repeat: int
    images: int
    seconds: float
    joules: float
    idle_before_w: float | None = None
    idle_after_w: float | None = None
    by_domain: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    why: str = ""

    @property
    def idle_w(self) -> float:
        """The mean of before and after.

        Raises:
            ValueError: one of them is unknown.
        """
        if self.idle_before_w is None or self.idle_after_w is None:
            raise ValueError("the idle power is unknown")
        return (self.idle_before_w + self.idle_after_w) / 2

    @property
    def mj_per_image(self) -> float:
        """Millijoules that an image takes beyond what the machine takes while it does nothing."""
        return 1e3 * (self.joules - self.idle_w * self.seconds) / self.images


@dataclass(frozen=True)
class Energy:
    """The energy of a scenario's series, idle power beside it.

    Attributes:
        domain: what is added up, and so what may be compared: ``package + dram``, ``VDD_IN``, ``wall``. Empty where
            nothing was read.
        sensor: what read it.
        windows: a series and repeat each.
        reason, remedy: why nothing was read, and what would change that.
    """

    domain: str = ""
    sensor: str = ""
    windows: tuple[EnergyWindow, ...] = ()
    reason: str = ""
    remedy: str = ""
