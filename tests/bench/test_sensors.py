"""``bob sensors``."""

from __future__ import annotations

import json

import pytest

from bench.measure.energy.sensor import WHOLE, Missing, Sensor, Zone
from bench.sensors import main, rows


def test_every_sensor_is_listed_with_its_domain_or_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["sensor"] for row in found] == ["INA3221", "RAPL", "NVML", "battery"]
    assert all(bool(row["domain"]) if row["ok"] else bool(row["reason"]) for row in found)


def test_the_table_has_the_remedy_and_what_is_recorded_beside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.measure.energy import here

    class Made(Sensor):
        name, counter, covers = "made", True, WHOLE
        zones, counted = (Zone("package"), Zone("psys")), ("package",)

        def read(self) -> tuple[float, ...]:
            return 1.0, 2.0

    both = here.Here((Made(), Missing("RAPL", "Only root may read it.", "sudo chmod")))
    monkeypatch.setattr(here, "look", lambda: both)
    assert [row["ok"] for row in rows()] == [True, False]
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert "package; beside it psys" in shown
    assert "Try: sudo chmod" in shown
