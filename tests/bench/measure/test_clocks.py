from __future__ import annotations

from pathlib import Path

from boards import POLICY, policy, write

from bench.measure.clocks import Policy, cap, governor, now_mhz, policies


def test_groups_come_in_the_order_of_their_cores(tmp_path: Path) -> None:
    for first, most in ((10, 2_600_000), (4, 2_400_000), (0, 1_800_000)):
        write(tmp_path, policy(first, most, most, "schedutil", "scmi"))
    found = policies(tmp_path)
    assert found[0] == Policy(1800, 1800, "schedutil", "scmi")
    assert [p.most_mhz for p in found] == [1800, 2400, 2600]
    assert cap(found) == ()


def test_one_limit_below_what_it_can_names_them_all(tmp_path: Path) -> None:
    write(tmp_path, policy(0, 1_800_000, 1_800_000, "schedutil", "scmi"))
    write(tmp_path, policy(4, 1_200_000, 2_400_000, "performance", "scmi"))
    assert cap(policies(tmp_path)) == (1800, 1200)
    assert governor(policies(tmp_path)) == "schedutil, performance"
    write(tmp_path, policy(4, 1_800_000, 2_400_000, "schedutil", "scmi"))
    assert cap(policies(tmp_path)) == (1800,)
    assert governor(policies(tmp_path)) == "schedutil"


def test_a_group_without_a_clock_is_none(tmp_path: Path) -> None:
    write(tmp_path, {f"{POLICY}0/scaling_governor": "schedutil\n"})
    assert policies(tmp_path) == policies(tmp_path / "nothing") == ()


def test_the_clock_now_is_the_mean_of_the_cores_that_were_asked_for(tmp_path: Path) -> None:
    for core, khz in ((0, 1_000_000), (1, 3_000_000), (2, 800_000)):
        write(tmp_path, {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": f"{khz}\n"})
    assert now_mhz((0, 1), tmp_path) == 2000
    assert now_mhz((2,), tmp_path) == 800
    assert now_mhz((5,), tmp_path) == 0
    listed = "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 3000.000\n"
    virtual = write(tmp_path / "virtual", {"proc/cpuinfo": listed})
    assert (now_mhz((1,), virtual), now_mhz((0, 1), virtual), now_mhz((0,), tmp_path / "none")) == (3000, 2500.25, 0)
