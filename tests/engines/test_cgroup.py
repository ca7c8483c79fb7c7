"""What a container's control groups grant, over trees of files that stand for /."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from boards import write

from engines.cgroup import held_seconds, quota

V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 {} /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
)
CPU1, CPU2 = "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup"


def v2(own: str, files: Mapping[str, str]) -> dict[str, str]:
    return {"proc/self/cgroup": f"0::{own}\n", "proc/self/mountinfo": V2} | {f"{CPU2}/{n}": t for n, t in files.items()}


def v1(own: str, files: Mapping[str, str], mounted: str = "/") -> dict[str, str]:
    groups = f"3:cpuset:/elsewhere\n2:cpu,cpuacct:{own}\n1:name=systemd:/a:b\n"
    at = {"proc/self/cgroup": groups, "proc/self/mountinfo": V1.format(mounted, mounted)}
    return at | {f"{CPU1}/{n}": t for n, t in files.items()}


def cfs(place: str, granted: int, period: int = 100_000) -> dict[str, str]:
    return {f"{place}cpu.cfs_quota_us": f"{granted}\n", f"{place}cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, math.inf),
        (v2("/", {}), math.inf),
        (v2("/", {"cpu.max": "150000 100000\n"}), 1.5),
        (v2("/", {"cpu.max": "max 100000\n"}), math.inf),
        (v2("/pod/box", {"pod/cpu.max": "max 100000\n", "pod/box/cpu.max": "200000 50000\n"}), 4.0),
        (v2("/pod/box", {"pod/cpu.max": "100000 50000\n", "pod/box/cpu.max": "400000 100000\n"}), 2.0),
        (v2("/pod/box", {"pod/cpu.max": "700000 100000\n", "pod/other/cpu.max": "1000 100000\n"}), 7.0),
        (v2("/../outside", {"cpu.max": "250000 100000\n", "outside/cpu.max": "1000 100000"}), 2.5),
        (v2("/", {"cpu.max": "0 0\n"}), math.inf),
        (v2("/", {"cpu.max": "many\n"}), math.inf),
        (v1("/", cfs("", -1)), math.inf),
        (v1("/docker/abc", cfs("", -1) | cfs("docker/abc/", 50_000)), 0.5),
        (v1("/docker/abc", cfs("docker/", 100_000) | cfs("docker/abc/", 300_000)), 1.0),
        (v1("/docker/abc", cfs("", 250_000), mounted="/docker/abc"), 2.5),
        (v1("/docker/abc", cfs("", 250_000) | cfs("docker/abc/", 1_000), mounted="/docker/other"), 2.5),
        (v1("/", {}) | cfs("sys/fs/cgroup/cpuset/", 1), math.inf),
        ({"proc/self/cgroup": "nonsense\n\x00", "proc/self/mountinfo": "- -\n1 2 3 - cgroup2\n"}, math.inf),
    ],
)  # fmt: skip
def test_the_tightest_quota_on_the_way_up_counts(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    assert quota(write(tmp_path, files)) == cores


def test_a_machine_with_both_versions_reads_both(tmp_path: Path) -> None:
    old = v1("/a", cfs("a/", 300_000))
    files = old | {
        "proc/self/cgroup": old["proc/self/cgroup"] + "0::/a\n",
        "proc/self/mountinfo": old["proc/self/mountinfo"] + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        "sys/fs/cgroup/unified/a/cpu.max": "200000 100000\n",
    }
    assert quota(write(tmp_path, files)) == 2.0


def test_what_a_quota_held_up_is_counted_in_seconds_over_all_groups(tmp_path: Path) -> None:
    stat = "nr_periods 10\nnr_throttled {}\n{} {}\n"
    new = v2("/pod/box", {
        "pod/cpu.stat": stat.format(2, "throttled_usec", 1_500_000),
        "pod/box/cpu.stat": stat.format(1, "throttled_usec", 500_000),
    })  # fmt: skip
    assert held_seconds(write(tmp_path / "2", new)) == 2.0
    old = v1("/box", {"box/cpu.stat": stat.format(2, "throttled_time", 250_000_000)})
    assert held_seconds(write(tmp_path / "1", old)) == 0.25
    for text in ("", "throttled_usec soon\n", "throttled_usec\n"):
        assert held_seconds(write(tmp_path / "0", v2("/", {"cpu.stat": text}))) == 0.0
