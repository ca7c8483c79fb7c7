from __future__ import annotations

from fakes import photograph

from bench.figures.preprocessing import INTERPOLATIONS, against_timm
from export.picture import decode
from export.spec import PreprocessSpec


def test_both_sides_take_what_cameras_make() -> None:
    images = [decode(photograph(i, *size)) for i, size in enumerate([(480, 640), (640, 480), (333, 517)])]
    for interpolation in INTERPOLATIONS:
        found = against_timm(images, PreprocessSpec(224, 224, interpolation, 0.875), 3)
        assert len(found) == 3
        assert min(found) > 0
