"""Which of the processor's instructions are told, and that a plan's key knows them; which cores may be used."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from boards import write

from engines import ov, processor, torch_ref
from engines.base import EngineSpec, Profile
from engines.catalog import engine
from engines.ort import engine as ort
from engines.processor import allowed, cores, granted, instructions, pinned, ranges, require_pinnable
from export.child import ROOT
from export.errors import UserError


def test_x86_tells_what_its_kernels_depend_on(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("model name\t: some\nflags\t\t: fpu sse2 avx2 avx512f avx512_vnni\nflags\t: avx2\n")
    assert instructions(file)[1:] == ("avx2", "avx512_vnni", "avx512f")


def test_arm_tells_what_its_kernels_depend_on(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n")
    assert instructions(file)[1:] == ("asimddp", "i8mm")


def test_a_system_that_lists_none_tells_its_processor(tmp_path: Path) -> None:
    assert len(instructions(tmp_path / "missing")) == 2


@pytest.mark.parametrize(("name", "module"), [("ort:cpu", ort), ("openvino:cpu", ov), ("torch:eager", torch_ref)])
def test_another_processor_means_another_plan(name: str, module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    here = engine(name).plan_key("a", Profile((1,)))
    assert engine(name).plan_key("a", Profile((1,))) == here
    monkeypatch.setattr(module, "instructions", lambda: ("x86_64", "avx512_vnni", "amx_int8", "other"))
    assert engine(name).plan_key("a", Profile((1,))) != here


def container(root: Path, cpu_max: str) -> Path:
    mounted = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    files = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounted, "sys/fs/cgroup/cpu.max": cpu_max}
    return write(root, files)


@pytest.mark.parametrize(
    ("cpu_max", "count"),
    [("max 100000", 8), ("800000 100000", 8), ("1600000 100000", 8), ("350000 100000", 3), ("300000 100000", 3)]
    + [("150000 100000", 1), ("99999 100000", 1), ("10000 100000", 1), ("33333 33333", 1)],
)
def test_a_quota_is_rounded_down_to_threads_and_at_least_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu_max: str, count: int
) -> None:
    monkeypatch.setattr(processor, "allowed", lambda: frozenset(range(8)))
    assert cores(container(tmp_path, cpu_max)) == count


def test_threads_follow_the_quota_the_affinity_and_the_pinned_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "allowed", lambda: frozenset({0, 2, 3, 5}))
    monkeypatch.setattr(processor, "quota", lambda root: math.inf)
    assert EngineSpec("ort").thread_count == 4
    assert EngineSpec("ort", threads=granted(0, (0, 5))).thread_count == 2
    assert EngineSpec("ort", threads=granted(1, (0, 5))).thread_count == 1
    assert EngineSpec("ort", threads=granted(0, ())).thread_count == 4
    monkeypatch.setattr(processor, "quota", lambda root: 1.5)
    assert EngineSpec("ort").thread_count == 1
    assert granted(0, (0, 3, 5)) == 1


@pytest.mark.parametrize(
    ("texts", "numbers", "shortest"),
    [
        ((), (), ()),
        (("0",), (0,), ("0",)),
        (("3", "0-2"), (0, 1, 2, 3), ("0-3",)),
        (("6", "0-1", "1", "4-4"), (0, 1, 4, 6), ("0-1", "4", "6")),
    ],
)
def test_cores_are_named_by_numbers_and_ranges(
    texts: tuple[str, ...], numbers: tuple[int, ...], shortest: tuple[str, ...]
) -> None:
    assert pinned(texts) == numbers
    assert ranges(numbers) == shortest
    assert pinned(shortest) == numbers


@pytest.mark.parametrize("text", ["", "a", "-1", "1-", "3-1", "0-2-4", "0x1", "1.5", "²", "0-99999999"])
def test_what_names_no_cores_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="does not name cores"):
        pinned((text,))


def test_cores_that_are_not_this_process_s_are_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "allowed", lambda: frozenset({0, 1, 2, 3, 6}))
    require_pinnable((0, 3, 6))
    with pytest.raises(UserError, match=r"cannot be used here: 4-5, 7\.\n.*may run on 0-3, 6\.\nTry: --pin 0,6"):
        require_pinnable((0, 4, 5, 6, 7))
    with pytest.raises(UserError, match=r"Try: --pin 0-3,6"):
        require_pinnable((9,))
    monkeypatch.delattr(os, "sched_setaffinity")
    require_pinnable(())
    with pytest.raises(UserError, match="cannot pin a process to cores"):
        require_pinnable((0,))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_pinned_process_keeps_all_its_threads_on_its_cores() -> None:
    """Those that are there before, and those that come."""
    code = (
        "import os, threading; from pathlib import Path; from engines.processor import cores, pin\n"
        "stop = threading.Event(); threading.Thread(target=stop.wait).start()\n"
        f"pin(({min(allowed())},)); threading.Thread(target=stop.wait).start()\n"
        "print(cores(), [sorted(os.sched_getaffinity(int(t.name))) for t in Path('/proc/self/task').iterdir()])\n"
        "stop.set()"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"1 {[[min(allowed())]] * 3}"
