"""From windows to millijoules an image: idle power subtracted, an interval of five windows, and reasons."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, stdev

import pytest

from bench.measure.energy.costs import joined, metrics, student
from bench.records.energy import Energy, EnergyWindow
from export.spec import Metric


def window(joules: float, repeat: int = 0, series: str = "latency", why: str = "", images: int = 500) -> EnergyWindow:
    """10 s over an idle power of 4 W before and 6 W after."""
    return EnergyWindow(series, repeat, images, 10.0, joules, 4.0, 6.0, {"package": joules}, 250, why)


def energy(*windows: EnergyWindow) -> Energy:
    return Energy("package + dram", "RAPL", windows)


def named(found: list[Metric]) -> dict[str, Metric]:
    return {m.name: m for m in found}


def test_idle_power_is_subtracted_from_the_energy_and_shown_beside_the_power() -> None:
    found = named(metrics(energy(window(300), window(320, 1)), ["latency"]))
    per_image = found["energy_mj_per_image"]
    assert per_image.value == pytest.approx(1e3 * (310 - 5 * 10) / 500)
    assert (per_image.unit, per_image.higher_is_better, per_image.n, per_image.stderr) == ("mJ/image", False, 2, None)
    assert per_image.note == "package + dram; interval n/a: 2 of the 5 windows needed"
    assert found["power_w"].value == pytest.approx(31.0)
    assert found["idle_w"].value == pytest.approx(5.0)
    assert found["idle_w"].note == "package + dram; before 4 W, after 6 W"


def test_five_windows_have_an_interval() -> None:
    joules = [300, 310, 305, 320, 290]
    found = metrics(energy(*(window(j, n) for n, j in enumerate(joules))), ["latency"])[0]
    values = [1e3 * (j - 50) / 500 for j in joules]
    error = stdev(values) / 5**0.5
    assert found.stderr == pytest.approx(error)
    half = 2.776 * error
    assert (
        f"95 % interval {fmean(values) - half:.4g} to {fmean(values) + half:.4g} (Student's t, 5 windows)" in found.note
    )


def test_a_window_that_does_not_count_leaves_no_number() -> None:
    found = metrics(energy(window(300), window(300, 1, why="150 of the 200 counter steps needed")), ["latency"])
    assert found[0].value is None
    assert found[0].note == "package + dram; n/a: 150 of the 200 counter steps needed"


@pytest.mark.parametrize("joules", [40, 50, 59])
def test_what_the_idle_power_hides_is_no_energy(joules: float) -> None:
    """It is 5 W, and moved by 2 W: so 6 W may be idle too."""
    found = metrics(energy(window(joules)), ["latency"])[0]
    assert found.value is None
    assert f"{joules / 10:g} W are not above the idle power, 5 W, which moved by 2 W" in found.note
    assert metrics(energy(window(61)), ["latency"])[0].value == pytest.approx(22)


def test_no_image_is_no_division() -> None:
    assert metrics(energy(window(300, images=0)), ["latency"])[0].value is None


def test_the_main_series_comes_first_and_each_has_its_own() -> None:
    found = named(metrics(energy(window(300, series="batch_1"), window(200, series="batch_8")), ["batch_8", "batch_1"]))
    assert found["energy_mj_per_image"].value == found["energy_batch_8_mj_per_image"].value == pytest.approx(300)
    assert found["energy_batch_1_mj_per_image"].value == pytest.approx(500)
    assert found["energy_mj_per_image"].note.startswith("batch_8; ")


@pytest.mark.parametrize("nothing", [None, Energy(reason="There is no sensor.")])
def test_without_a_sensor_there_is_no_metric(nothing: Energy | None) -> None:
    assert metrics(nothing, ["latency"]) == []
    assert metrics(energy(window(300)), []) == []


def test_repeats_are_joined_and_numbered() -> None:
    found = joined([energy(window(300)), energy(window(310))])
    assert found is not None
    assert [(w.repeat, w.joules) for w in found.windows] == [(0, 300), (1, 310)]
    assert joined([None, None]) is None


def test_repeats_of_other_sensors_are_not_joined() -> None:
    other = joined([energy(window(300)), replace(energy(window(300)), domain="wall")])
    assert other is not None
    assert (other.domain, other.windows) == ("", ())
    assert "package + dram and wall" in other.reason
    gone = joined([energy(window(300)), Energy(reason="The sensor is gone.")])
    assert gone is not None
    assert (gone.domain, gone.reason) == ("", "The sensor is gone.")


def test_the_quantile_of_fewer_windows_is_taken_between_two() -> None:
    assert student(4) == 2.776
    assert student(10) == student(9)
    assert student(1000) == 2.045
    with pytest.raises(ValueError, match="no interval of 4"):
        student(3)
