from __future__ import annotations

import numpy as np
import pytest
from fakes import PillowPath, photograph

from engines.preprocess.cpu import CpuPreprocess
from engines.preprocess.reference import require_reference
from export.errors import CellError
from export.picture import Image
from export.spec import PreprocessSpec
from export.store import Store

PHOTOGRAPH = photograph(1, 180, 240)


def test_the_project_s_own_paths_pass(store: Store) -> None:
    for spec in (PreprocessSpec(32, 32, "bilinear", 0.9), PreprocessSpec(48, 40, "bicubic", 1.0)):
        for path in (PillowPath(spec), CpuPreprocess(spec, store)):
            require_reference(path, PHOTOGRAPH, path(PHOTOGRAPH))


def test_pixels_of_another_resize_are_refused_with_how_far_they_are_off() -> None:
    class Skips(PillowPath):
        def resize(self, image: Image) -> Image:
            return np.ascontiguousarray(image[:: image.shape[0] // 32, :: image.shape[1] // 32][:32, :32])

    with pytest.raises(CellError, match=r"differ by up to \d+ of 255"):
        require_reference(Skips(), PHOTOGRAPH, Skips()(PHOTOGRAPH))


def test_pixels_that_come_prepared_are_not_looked_at() -> None:
    class Brought(PillowPath):
        ready = True

    require_reference(Brought(), b"no photograph", np.zeros((32, 32, 3), np.uint8))
