"""What else went on while a measurement ran: other processes' share of the cores, clocks, temperature, throttling.

A number that was taken while somebody else used the machine must say so. The monitor samples beside the measured
process, at a low rate, and never inside it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from bench.measure.temperature import readings
from bench.measure.throttling import Throttling
from bench.records.parts import GpuMonitoring, Monitoring
from engines.cuda.nvml import Nvml, Reading, nvml

FOREIGN_SHARE = 0.05
"""A run during which other processes took more than this share of all cores is marked as disturbed."""


class Monitor:
    """Samples the machine while it is entered; :meth:`summary` afterwards.

    Args:
        pid: the measured process; its own CPU time is not counted as foreign.
        interval: seconds between samples.
        gpu: where the GPU's state is read; None where there is none.
        root: where the system's files lie.
    """

    def __init__(self, pid: int, interval: float = 0.5, gpu: Nvml | None = None, root: Path = Path("/")) -> None:
        self._pid, self._interval, self._root = pid, interval, root
        self._gpu = gpu or nvml()
        self._readings: list[Reading] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._clocks: list[float] = []
        self._temperatures: list[float] = []
        self._foreign: list[float] = []

    def __enter__(self) -> Monitor:
        self._throttling = Throttling(self._root)
        self._look_at_gpu()  # before the measured process has reached the device
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._throttling.look(last=True)

    def _watch(self) -> None:
        import psutil

        try:
            measured = psutil.Process(self._pid)
        except psutil.Error:
            return
        busy, own, mine = busy_seconds(), _cpu_seconds(measured), sum(os.times()[:2])
        while not self._stop.wait(self._interval):
            new_busy, new_mine = busy_seconds(), sum(os.times()[:2])
            try:
                new_own = _cpu_seconds(measured)
            except psutil.Error:
                return
            self._look_at_gpu()
            self._throttling.look()
            window = self._interval * (os.cpu_count() or 1)
            foreign = (new_busy - busy) - (new_own - own) - (new_mine - mine)
            self._foreign.append(min(1.0, max(0.0, foreign / window)))
            busy, own, mine = new_busy, new_own, new_mine
            if clock := _clock_mhz():
                self._clocks.append(clock)
            self._temperatures += readings(self._root)

    def _look_at_gpu(self) -> None:
        reading = self._gpu.read() if self._gpu else None
        if reading:
            self._readings.append(reading)

    def summary(self) -> Monitoring:
        """What was seen while it was entered."""
        foreign = median(self._foreign) if self._foreign else 0.0
        gpu, reasons = gpu_summary(self._readings), self._throttling.reasons()
        return Monitoring(
            foreign_share=round(foreign, 3),
            disturbed=foreign > FOREIGN_SHARE,
            throttled=bool(reasons) or bool(gpu and gpu.throttled),
            clock_mhz=(round(min(self._clocks)), round(max(self._clocks))) if self._clocks else None,
            temperature_c=(min(self._temperatures), max(self._temperatures)) if self._temperatures else None,
            gpu=gpu,
            throttling=reasons + (("GPU",) if gpu and gpu.throttled else ()),
        )


def gpu_summary(readings: Sequence[Reading]) -> GpuMonitoring | None:
    """Readings in order of time, the first from before the measured process reached the device; None without any."""
    if not readings:
        return None
    clocks = [r.clock_mhz for r in readings if r.clock_mhz is not None]
    temperatures = [r.temperature_c for r in readings if r.temperature_c is not None]
    return GpuMonitoring(
        memory_bytes=max(r.memory_used_bytes for r in readings) - readings[0].memory_used_bytes,
        clock_mhz=(min(clocks), max(clocks)) if clocks else None,
        temperature_c=(min(temperatures), max(temperatures)) if temperatures else None,
        throttled=any(r.throttled for r in readings),
        power_capped=any(r.power_capped for r in readings),
    )


def busy_seconds() -> float:
    """CPU time of all processes since boot, in seconds over all cores."""
    import psutil

    t = psutil.cpu_times()
    # Linux counts the time of processes with a lower priority apart from user
    return float(
        t.user
        + getattr(t, "nice", 0)
        + t.system
        + getattr(t, "irq", 0)
        + getattr(t, "softirq", 0)
        + getattr(t, "steal", 0)
    )


def _clock_mhz() -> float:
    """The mean of the cores' clocks; 0 where the system does not say."""
    import psutil

    try:
        frequency = psutil.cpu_freq()
    except (NotImplementedError, OSError):  # cpufreq is there, and not to be read
        return 0.0
    return float(frequency.current) if frequency else 0.0


def _cpu_seconds(process: Any) -> float:
    t = process.cpu_times()
    return float(t.user + t.system)
