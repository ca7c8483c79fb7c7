from __future__ import annotations

import numpy as np
import pytest
from fakes import PillowPath, dataset

from bench.measure.queries import COUNT
from bench.sweep.rotation import chosen, different, prepare
from export.errors import CellError
from export.picture import Image
from export.store import Store


def test_images_come_from_test_first_and_are_counted(store: Store) -> None:
    data = dataset(count=90)
    ids = chosen(data, 0)
    assert len(set(ids)) == COUNT
    assert {s.id for s in data.split("test")} <= set(ids)
    assert prepare(data, PillowPath(), 0, store).fields["different"] == COUNT


def test_copies_and_pictures_of_one_colour_are_no_different_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    assert different(np.concatenate([pixels, pixels])) == 4
    black, grey = np.zeros((3, 8, 8, 3), np.uint8), np.full((2, 8, 8, 3), 128, np.uint8)
    assert different(np.concatenate([black, grey])) == 1


def test_a_path_that_is_off_prepares_nothing(store: Store) -> None:
    class Mirrored(PillowPath):
        def resize(self, image: Image) -> Image:
            return np.ascontiguousarray(super().resize(image)[:, ::-1])

    with pytest.raises(CellError, match="reference's pixels"):
        prepare(dataset(), Mirrored(), 0, store)
