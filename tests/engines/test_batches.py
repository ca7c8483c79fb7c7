from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from fakes import MeanColour, plan

from engines.base import Outputs, Pixels
from engines.batches import run_all
from export.errors import CellError


@pytest.mark.parametrize(("count", "batches", "seen"), [(1, (1, 4), [1]), (3, (4,), [4]), (9, (1, 4), [4, 4, 4])])
def test_every_image_is_run_and_padding_is_thrown_away(count: int, batches: tuple[int, ...], seen: list[int]) -> None:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    session = MeanColour(plan(batches, tokens=True))
    found = run_all(session, pixels)
    assert session.seen == seen
    assert {name: rows.shape for name, rows in found.items()} == {"features": (count, 3), "tokens": (count, 2, 3)}
    np.testing.assert_allclose(found["features"], pixels.mean(axis=(1, 2)) / 255, atol=1e-6)


def test_rows_are_those_that_were_there_when_the_run_returned() -> None:
    class Late(MeanColour):
        left: ClassVar[list[np.ndarray]] = []

        def _run(self, pixels: Pixels) -> Outputs:
            for rows in self.left:
                rows[:] = 1  # what the last run promised
            self.left.append(np.zeros((len(pixels), 3), np.float32))
            return {"features": self.left[-1]}

    found = run_all(Late(plan((1,))), np.zeros((3, 32, 32, 3), np.uint8))
    assert not found["features"].any()


def test_an_answer_that_is_not_on_the_host_is_refused() -> None:
    class Lazy(MeanColour):
        def _run(self, pixels: Pixels) -> Outputs:
            left: Any = {name: rows.tolist() for name, rows in super()._run(pixels).items()}
            return left  # type: ignore[no-any-return]

    with pytest.raises(CellError, match="leaves features as list"):
        run_all(Lazy(plan((1,))), np.zeros((1, 32, 32, 3), np.uint8))
