"""The GPU's counter, from a library that answers as NVIDIA's does."""

from __future__ import annotations

import pytest

from bench.measure.energy.gpu import Gpu, find
from bench.measure.energy.sensor import Missing, Silent
from engines.cuda.nvml import Nvml


class Board(Nvml):
    def __init__(self, *joules: float | None) -> None:
        self.joules = list(joules)

    def energy_j(self) -> float | None:
        return self.joules.pop(0)


def test_the_board_counts_joules() -> None:
    found = find(Board(1.0, 2.5))
    assert isinstance(found, Gpu)
    assert (found.domain, found.counter, found.read()) == ("GPU board", True, (2.5,))


def test_not_supported_is_no_zero() -> None:
    found = find(Board(None))
    assert isinstance(found, Missing)
    assert "no energy counter" in found.reason


def test_a_counter_that_fails_is_silent() -> None:
    found = find(Board(1.0, None))
    assert isinstance(found, Gpu)
    with pytest.raises(Silent):
        found.read()
