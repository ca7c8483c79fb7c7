from __future__ import annotations

import drawn_objects
import numpy as np
import pytest

from tasks.scoring import reading
from tasks.scoring.detection import maps


def test_maps_are_standardised_and_read_from_memory_as_from_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    part = drawn_objects.split_of(drawn_objects.scenes(0, 9))
    monkeypatch.setattr(reading, "BLOCK", 4000)  # several blocks
    held, scaling = maps.read(part, "train")
    rows = np.arange(9)
    for name, values in held.batch(rows, scaling).items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), 0, atol=5e-3)
        np.testing.assert_allclose(values.std(axis=(0, 2, 3)), 1, atol=5e-3)
        assert held.channels[name] == 3
    monkeypatch.setattr(maps, "HELD", 0)
    read, other = maps.read(part, "train")
    assert read.held is None
    assert held.held is not None
    some = np.array([1, 4, 5])
    for name, values in read.batch(some, other).items():
        np.testing.assert_allclose(values, held.batch(some, scaling)[name], atol=0.02)


def test_a_constant_channel_says_nothing() -> None:
    part = drawn_objects.split_of(drawn_objects.scenes(0, 4))
    part.outputs["map_s8"][:, 1] = 7.3  # type: ignore[index]
    held, scaling = maps.read(part, "train")
    assert scaling.scale["map_s8"].ravel()[1] == 0
    assert (held.batch(np.arange(4), scaling)["map_s8"][:, 1] == 0).all()
