"""Photographs to calibrate on and to measure on show other scenes."""

from __future__ import annotations

from bench.figures.photographs import SOURCES, source
from bench.figures.precision import TEST, divided


def test_no_scene_is_on_two_sides() -> None:
    encoded = [bytes([i // 256, i % 256]) for i in range(1000)]
    calibration, test = divided(encoded)
    at = {e: i for i, e in enumerate(encoded)}
    sides = [
        {source(at[calibration.read(name)]) for name in calibration.train},
        {source(at[calibration.read(name)]) for name in calibration.val},
        {source(at[e]) for e in test},
    ]
    assert all(len(side) >= SOURCES // 3 for side in sides)
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert len(test) == TEST
    assert divided(encoded)[0] == calibration
    assert divided([*encoded[:-1], b"another"])[0].digest != calibration.digest
    assert divided(encoded, seed=1)[0].digest != calibration.digest
