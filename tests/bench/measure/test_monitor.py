from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from boards import FIRMWARE, LAPTOP, PI5, POLICY, write

from bench.measure import moments
from bench.measure.clock import CLOCK, Series
from bench.measure.criterion import Stopped
from bench.measure.moments import FOREIGN_SHARE
from bench.measure.monitor import Monitor
from bench.records.parts import Monitoring
from engines.cuda.nvml import Reading
from engines.processor import allowed

BURN = "while True: pass"
STAT = "cpu 0 0 0 0 0 0 0 0\n" + "".join(f"cpu{core} 0 0 0 0 0 0 0 {{0}}\n" for core in sorted(allowed()))


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process.pid
        process.kill()


def whole(monitor: Monitor) -> Monitoring:
    return monitor.window(0, CLOCK())


def test_a_busy_neighbour_is_seen_in_the_window_in_which_it_ran(sleeper: int) -> None:
    with ExitStack() as stack:
        neighbours = [stack.enter_context(subprocess.Popen([sys.executable, "-c", BURN])) for _ in allowed()]
        with Monitor(sleeper, interval=0.2) as monitor:
            begin = CLOCK()
            time.sleep(1.2)
            end = CLOCK()
        for neighbour in neighbours:
            neighbour.kill()
    found = monitor.window(begin, end)
    assert found.disturbed
    assert found.foreign_share > FOREIGN_SHARE
    assert "other processes took" in found.trouble


def test_what_the_measured_process_did_until_its_end_is_its_own() -> None:
    """It ends between two samples, when nobody can ask it any more."""
    code = "import time\nwhile time.process_time() < 0.6: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        with Monitor(child.pid, interval=60) as monitor:
            child.wait()
        first, *_, last = monitor._moments
    assert last.own - first.own > 0.5


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child.wait()
    with Monitor(child.pid, interval=0.05) as monitor:
        time.sleep(0.2)
    assert 0 <= whole(monitor).foreign_share <= 1


def test_a_gpu_that_throttles_voids_the_run(sleeper: int) -> None:
    class Board:
        """Hot from the second look on."""

        looks = 0

        def read(self) -> Reading:
            self.looks += 1
            return Reading(self.looks << 20, None, None, self.looks > 1, False)

    with Monitor(sleeper, interval=0.05, gpu=Board()) as monitor:  # type: ignore[arg-type]
        time.sleep(0.2)
    seen = whole(monitor)
    assert seen.throttled
    assert seen.gpu is not None
    assert seen.gpu.memory_bytes >= 1 << 20
    assert seen.gpu.clock_mhz is None
    assert seen.throttling == ("GPU",)


def test_a_board_that_throttles_voids_the_run_and_says_why(tmp_path: Path, sleeper: int) -> None:
    root = write(tmp_path, PI5)
    with Monitor(sleeper, interval=0.05, root=root) as monitor:
        write(root, {FIRMWARE: "1\n"})
        time.sleep(0.3)
        write(root, {FIRMWARE: "0\n"})
    seen = whole(monitor)
    assert seen.throttled
    assert seen.throttling == ("under-voltage",)
    assert seen.temperature_c == (51.8, 51.8)


def test_stolen_time_a_quota_and_the_clock_come_from_the_system_s_files(tmp_path: Path, sleeper: int) -> None:
    group = "sys/fs/cgroup/cpu.stat"
    mounted = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 c rw\n"}
    clock = {f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_cur_freq": "1800000\n" for n in allowed()}
    root = write(tmp_path, mounted | clock | {"proc/stat": STAT.format(0), group: "throttled_usec 0\n"})
    with Monitor(sleeper, interval=60, root=root) as monitor:
        hours = 3600 * os.sysconf("SC_CLK_TCK")
        write(root, {"proc/stat": STAT.format(hours), group: f"throttled_usec {3600 * 10**6}\n"})
    seen = whole(monitor)
    assert (seen.stolen_share, seen.stolen, seen.clock_mhz) == (1.0, True, (1800, 1800))
    assert seen.throttling == ("the container's CPU quota, 100% of the time",)


def test_series_of_one_window_are_told_of_once(tmp_path: Path, sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "SPAN_NS", 0)
    clock = f"{POLICY}0/scaling_max_freq"
    root = write(tmp_path, LAPTOP)
    with Monitor(sleeper, interval=60, root=root) as monitor:
        edges = [CLOCK()]
        for limit in (None, None, "1000000\n"):
            if limit:
                write(root, {clock: limit})
            monitor._sample()
            edges.append(CLOCK())
    stopped = Stopped(False, "", None)
    windows = {"latency": edges[:2], "device": edges[:2], "batch_8": edges[2:]}
    series = {name: Series(1, [], [1], True, begin, end, stopped) for name, (begin, end) in windows.items()}
    found = monitor.windows(series)
    assert [(one.series, one.throttling) for one in found] == [("latency", ()), ("batch_8", ("clock limit lowered",))]
