"""The two ratios, on a session whose device does its work in a known time."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence

import numpy as np
import pytest
from fakes import MeanColour, PillowPath, photograph, plan

from bench.figures import gpu as gpu_figures
from bench.figures.gpu import of_photographs, of_session
from bench.measure.queries import Queries
from engines.base import Outputs, Pixels
from engines.cuda.device import Device
from engines.cuda.nvimgcodec import DeviceImage
from engines.cuda.nvrtc import Program
from export.store import Store

QUERIES = Queries(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), [b""] * 8)


class Timed(MeanColour):
    """A device that takes 1 ms a batch by its own events; ``cost`` is what each streamed batch takes besides."""

    def __init__(self, overhead: float = 0.0, cost: float = 0.0) -> None:
        super().__init__(plan())
        self.overhead, self.cost = overhead, cost
        self.asked: list[int] = []

    def device_ms(self, pixels: Pixels, count: int) -> list[float]:
        self.asked.append(len(pixels))
        return [1.0 + self.overhead] * count

    def bare_ms(self, pixels: Pixels, count: int) -> list[float]:
        return [1.0] * count

    def stream(self, batches: Iterable[Pixels]) -> Generator[Outputs, None, None]:
        for batch in batches:
            end = time.perf_counter() + (1 + self.cost) / 1000
            found = self.run(batch)
            while time.perf_counter() < end:
                pass
            yield found


def test_a_session_that_does_not_time_its_device_has_no_figures() -> None:
    assert list(of_session(MeanColour(plan()), QUERIES, "a cell")) == []


@pytest.mark.parametrize(("overhead", "reached"), [(0.01, True), (0.03, False), (-0.03, False)])
def test_device_time_is_held_against_the_bare_loop(overhead: float, reached: bool) -> None:
    found = next(iter(of_session(Timed(overhead), QUERIES, "a cell")))
    assert found.value == pytest.approx(1 + overhead)
    assert found.reached is reached
    assert "a cell" in found.name


def test_copies_that_do_not_overlap_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_figures, "REPEATS", 3)
    session = Timed(cost=9.0)
    _, found = of_session(session, QUERIES, "a cell")
    assert found.value < 0.2  # ten times the device's own time, however slow this machine is
    assert not found.reached
    assert session.asked[0] == 1
    assert session.asked[-1] == 4
    assert set(session.seen) == {4}


@pytest.mark.parametrize(("overhead", "reached"), [(0.08, True), (0.2, False)])
def test_what_preprocessing_adds_is_told_for_every_batch_size(
    overhead: float, reached: bool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Preprocesses(Timed):
        def device_ms(self, pixels: Pixels, count: int) -> list[float]:
            return [1.0] * count

        def run_photographs(self, photographs: Sequence[Pixels | DeviceImage], program: Program) -> Outputs:
            raise AssertionError("it is timed on the device alone")

        def photographs_ms(
            self, photographs: Sequence[Pixels | DeviceImage], program: Program, count: int
        ) -> list[float]:
            assert program.capability == "8.6"
            assert all(not isinstance(one, DeviceImage) and one.shape == (60, 80, 3) for one in photographs)
            return [1.0 + self.overhead] * count

    monkeypatch.setattr(gpu_figures, "device", lambda: Device("a GPU", "8.6", "580", 1))
    monkeypatch.setattr(gpu_figures, "program_here", lambda store: Program("", "8.6", b"", {}))
    rotation = Queries(QUERIES.pixels, [photograph(seed) for seed in range(8)])
    found = list(of_photographs(Preprocesses(overhead), rotation, PillowPath(), store, "a cell"))
    assert [f.value for f in found] == [pytest.approx(1 + overhead)] * 2
    assert [f.reached for f in found] == [reached] * 2
    assert "batch 4" in found[1].name
    assert list(of_photographs(Timed(), rotation, PillowPath(), store, "a cell")) == []  # it preprocesses nothing
