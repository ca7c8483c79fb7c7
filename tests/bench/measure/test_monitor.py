from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from boards import FIRMWARE, PI5, write

from bench.measure.monitor import FOREIGN_SHARE, Monitor, gpu_summary
from bench.records.parts import GpuMonitoring
from engines.cuda.nvml import Reading

BURN = "import time\nend = time.time() + {}\nwhile time.time() < end: pass"


def test_a_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"]) as measured:
        neighbours = [subprocess.Popen([sys.executable, "-c", BURN.format(2.5)]) for _ in range(os.cpu_count() or 1)]
        with Monitor(measured.pid, interval=0.3) as monitor:
            time.sleep(2)
        seen = monitor.summary()
        for neighbour in neighbours:
            neighbour.wait()
        measured.terminate()
    assert seen.disturbed
    assert seen.foreign_share > FOREIGN_SHARE


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child.wait()
    with Monitor(child.pid, interval=0.05) as monitor:
        time.sleep(0.2)
    assert monitor.summary().foreign_share == 0.0


def test_a_gpus_memory_is_what_came_on_top() -> None:
    before = Reading(2 << 30, 300, 40, False, False)
    busy = Reading(5 << 30, 1800, 70, False, True)
    hot = Reading(4 << 30, 900, None, True, False)
    assert gpu_summary([]) is None
    assert gpu_summary([before, busy]) == GpuMonitoring(3 << 30, (300, 1800), (40, 70), False, True)
    found = gpu_summary([before, busy, hot])
    assert found is not None
    assert found.throttled


def test_a_gpu_that_throttles_voids_the_run() -> None:
    class Board:
        """Hot from the second look on."""

        looks = 0

        def read(self) -> Reading:
            self.looks += 1
            return Reading(self.looks << 20, None, None, self.looks > 1, False)

    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"]) as child:
        with Monitor(child.pid, interval=0.05, gpu=Board()) as monitor:  # type: ignore[arg-type]
            time.sleep(0.5)
        seen = monitor.summary()
    assert seen.throttled
    assert seen.gpu is not None
    assert seen.gpu.memory_bytes >= 1 << 20
    assert seen.gpu.clock_mhz is None
    assert seen.throttling == ("GPU",)


def test_a_board_that_throttles_voids_the_run_and_says_why(tmp_path: Path) -> None:
    root = write(tmp_path, PI5)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"]) as child:
        with Monitor(child.pid, interval=0.05, root=root) as monitor:
            write(root, {FIRMWARE: "1\n"})
            time.sleep(0.3)
            write(root, {FIRMWARE: "0\n"})
        seen = monitor.summary()
    assert seen.throttled
    assert seen.throttling == ("under-voltage",)
    assert seen.temperature_c == (51.8, 51.8)
