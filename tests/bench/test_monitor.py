from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.monitor import FOREIGN_SHARE, Monitor

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
    assert seen["disturbed"]
    assert seen["foreign_share"] > FOREIGN_SHARE


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child.wait()
    with Monitor(child.pid, interval=0.05) as monitor:
        time.sleep(0.2)
    assert monitor.summary()["foreign_share"] == 0.0
