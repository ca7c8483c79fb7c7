from __future__ import annotations

import numpy as np
import pytest
from fakes import MeanColour, plan

from engines.batches import run_all


@pytest.mark.parametrize(("count", "batches", "seen"), [(1, (1, 4), [1]), (3, (4,), [4]), (9, (1, 4), [4, 4, 4])])
def test_every_image_is_run_and_padding_is_thrown_away(count: int, batches: tuple[int, ...], seen: list[int]) -> None:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    session = MeanColour(plan(batches, tokens=True))
    found = run_all(session, pixels)
    assert session.seen == seen
    assert {name: rows.shape for name, rows in found.items()} == {"features": (count, 3), "tokens": (count, 2, 3)}
    np.testing.assert_allclose(found["features"], pixels.mean(axis=(1, 2)) / 255, atol=1e-6)
