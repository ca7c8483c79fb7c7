from __future__ import annotations

import numpy as np
import pytest

from bench.measure.queries import Queries


@pytest.mark.parametrize("size", [1, 2, 5, 13])
def test_each_batch_starts_at_another_image_and_goes_round(size: int) -> None:
    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    batches = Queries(pixels, [b""] * 5).batches(size)
    assert len(batches) == 5
    for start, batch in enumerate(batches):
        assert batch.shape == (size, 4, 6, 3)
        assert batch.flags.c_contiguous
        assert batch[:, 0, 0, 0].tolist() == [(start + i) % 5 for i in range(size)]
    assert all(np.shares_memory(batches[0], batch) for batch in batches[1 : min(size, 5)])
