from __future__ import annotations

import os
from pathlib import Path

from boards import write

from bench.measure.load import Load, load

SECOND = os.sysconf("SC_CLK_TCK")
STAT = """\
cpu  1000 200 300 9000 50 10 20 70 5 5
cpu0 600 100 200 4000 30 6 12 40 5 5
cpu1 400 100 100 5000 20 4 8 30 0 0
cpu10 1 2 3 4 5 6 7 8 9 10
intr 1 2 3
ctxt 99
"""


def test_work_and_stolen_time_are_of_the_cores_that_were_asked_for(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/stat": STAT})
    assert load((1,), root) == Load((400 + 100 + 100 + 4 + 8) / SECOND, 30 / SECOND)
    assert load((0, 1), root) == Load((1000 + 200 + 300 + 10 + 20) / SECOND, 70 / SECOND)
    assert load((), root) == load((7,), root) == load((0, 1), root)


def test_an_old_kernel_that_counts_no_stolen_time_has_none(tmp_path: Path) -> None:
    assert load((0,), write(tmp_path, {"proc/stat": "cpu 9 9 9 9\ncpu0 1 2 3 4\n"})) == Load(6 / SECOND)


def test_a_system_without_the_file_is_asked_otherwise(tmp_path: Path) -> None:
    assert load((), tmp_path).busy > 0
