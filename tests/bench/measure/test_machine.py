from __future__ import annotations

import pytest

from bench.measure import machine
from engines.cuda.device import Device


def test_a_gpu_makes_another_machine_and_its_driver_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for gpu in (None, Device("A", "8.6", "580.1", 1), Device("A", "8.6", "590.2", 1), Device("B", "8.6", "580.1", 1)):
        monkeypatch.setattr(machine, "device", lambda gpu=gpu: gpu)
        found.append(machine.environment())
    without, a, newer, b = found
    assert without.gpu is None
    assert a.gpu == {"name": "A", "capability": "8.6", "driver": "580.1"}
    assert a.id == newer.id
    assert newer.gpu
    assert newer.gpu["driver"] == "590.2"
    assert len({without.id, a.id, b.id}) == 3
