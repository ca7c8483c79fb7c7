"""Windows of energy: what idle power leaves of them, and which metrics are theirs."""

from __future__ import annotations

import pytest

from bench.records.energy import IDLE, PER_IMAGE, POWER, EnergyWindow, of_energy


def test_an_image_takes_what_is_beyond_the_mean_of_both_idle_powers() -> None:
    window = EnergyWindow("latency", 0, 200, 10.0, 250.0, 4.0, 6.0)
    assert window.idle_w == 5.0
    assert window.mj_per_image == pytest.approx(1000.0)


@pytest.mark.parametrize("idle", [(None, 4.0), (4.0, None)])
def test_of_one_idle_power_no_mean_is_made(idle: tuple[float | None, float | None]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        _ = EnergyWindow("latency", 0, 200, 10.0, 250.0, *idle).mj_per_image


def test_metrics_of_energy_are_known_by_their_names() -> None:
    assert all(map(of_energy, (PER_IMAGE, POWER, IDLE, "energy_batch_8_mj_per_image")))
    assert not any(map(of_energy, ("latency_p50_ms", "throughput_images_per_s", "plan_mib", "energy")))
