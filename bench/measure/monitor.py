"""What else went on while a measurement ran: other processes' share of the cores, clocks, temperature, throttling.

A number that was taken while somebody else used the machine must say so. The monitor samples beside the measured
process, at a low rate, and never inside it; what it saw is then read for the window of each series.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from bench.measure.clock import CLOCK, Series
from bench.measure.clocks import now_mhz
from bench.measure.load import load
from bench.measure.moments import Moment, monitoring
from bench.measure.temperature import readings
from bench.measure.throttling import Throttling
from bench.records.parts import Monitoring
from engines.cgroup import held_seconds
from engines.cuda.nvml import Nvml, nvml
from engines.processor import allowed, cores


class Monitor:
    """Samples the machine while it is entered; :meth:`window` and :meth:`windows` afterwards.

    Args:
        pid: the measured process; its own CPU time is not counted as others'.
        pin: the cores that it may use; by default all that this process may.
        interval: seconds between samples.
        gpu: where the GPU's state is read; by default the machine's, where there is one.
        root: where the system's files lie.
    """

    def __init__(
        self,
        pid: int,
        pin: Collection[int] = (),
        interval: float = 0.5,
        gpu: Nvml | None = None,
        root: Path = Path("/"),
    ) -> None:
        self._pid, self._interval, self._root = pid, interval, root
        self._cores = frozenset(pin) or allowed()
        self._gpu = gpu or nvml()
        self._throttling = Throttling(root)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._moments: list[Moment] = []

    def __enter__(self) -> Monitor:
        self._before = os.times()
        self._sample()  # before the measured process has reached the device
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._sample(last=True)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self, last: bool = False) -> None:
        self._moments.append(
            Moment(
                at_ns=CLOCK(),
                load=load(self._cores, self._root),
                own=self._own(),
                state=self._throttling.look(last),
                held=held_seconds(self._root) / min(len(self._cores), cores(self._root)),
                clock_mhz=now_mhz(self._cores, self._root),
                temperatures=readings(self._root),
                gpu=self._gpu.read() if self._gpu else None,
            )
        )

    def _own(self) -> float:
        """CPU seconds of the measured process, and of this one since it watches."""
        import psutil

        now = os.times()
        mine = now.user + now.system - self._before.user - self._before.system
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:  # it has ended, and its parent, this process, has its time
            ended = now.children_user + now.children_system - self._before.children_user - self._before.children_system
            return max(mine + ended, self._moments[-1].own if self._moments else 0.0)
        return mine + float(times.user + times.system)

    def window(self, begin_ns: int, end_ns: int) -> Monitoring:
        """What was seen between two moments of :data:`~bench.measure.clock.CLOCK`."""
        return monitoring(self._moments, len(self._cores), begin_ns, end_ns, (self._pid, os.getpid()))

    def windows(self, series: Mapping[str, Series]) -> tuple[Monitoring, ...]:
        """What was seen during each series of a scenario; of those that share a window, once, under the first's name.

        Args:
            series: by name.
        """
        found: dict[tuple[int, int], Monitoring] = {}
        for name, one in series.items():
            window = one.begin_ns, one.end_ns
            if window not in found:
                found[window] = replace(self.window(*window), series=name)
        return tuple(found.values())
