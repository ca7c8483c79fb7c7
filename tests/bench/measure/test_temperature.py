from __future__ import annotations

from pathlib import Path

from boards import ORIN, PI5, thermal, write

from bench.measure.temperature import SLOW_C, Zone, readings, zones


def test_a_zone_says_where_it_slows_down(tmp_path: Path) -> None:
    root = write(tmp_path, ORIN)
    assert zones(root) == (
        Zone("cpu-thermal", 49.0, 99.0),
        Zone("gpu-thermal", 48.5, 99.0),
        Zone("tj-thermal", 50.1, 99.0),
    )
    assert zones(write(tmp_path / "pi", PI5)) == (Zone("cpu-thermal", 51.8, SLOW_C),)


def test_a_sensor_that_is_off_has_no_reading(tmp_path: Path) -> None:
    root = write(tmp_path, thermal({"off": -274_000, "gpu": 0, "on": 40_000, "broken": 40_000}, {}, passive=-274_000))
    (root / "sys/class/thermal/thermal_zone3/temp").unlink()
    assert zones(root) == (Zone("on", 40.0, SLOW_C),)


def test_a_chip_s_first_sensor_counts_and_zones_where_there_is_no_chip(tmp_path: Path) -> None:
    root = write(tmp_path, thermal({"zone": 40_000}, {}))
    assert readings(root) == (40.0,)
    write(root, {f"sys/class/hwmon/hwmon0/temp{n}_input": f"{t}\n" for n, t in ((1, 51_000), (2, 60_000))})
    write(root, {"sys/class/hwmon/hwmon1/in0_input": "5000\n", "sys/class/hwmon/hwmon2/temp1_input": "33500\n"})
    assert sorted(readings(root)) == [33.5, 51.0]
    assert readings(tmp_path / "nothing") == ()
