from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import plan

from export.artifact import REFERENCE, Reference


@pytest.mark.parametrize(
    "names", [["features"], ["features", "pixels", "output:pixels"], ["a/b", "tokens.npy", "file"]]
)
def test_a_reference_is_read_back_whatever_its_outputs_are_called(tmp_path: Path, names: list[str]) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    saved = Reference(pixels, {n: draw.normal(size=(3, i + 2)).astype(np.float32) for i, n in enumerate(names)})
    saved.save(tmp_path)
    found = replace(plan().artifact, path=tmp_path).reference()
    assert found is not None
    np.testing.assert_array_equal(found.pixels, pixels)
    assert found.pixels.dtype == np.uint8
    assert list(found.outputs) == names
    for name, array in found.outputs.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, saved.outputs[name])


def test_the_arrays_in_the_file_have_documented_names(tmp_path: Path) -> None:
    Reference(np.zeros((1, 2, 2, 3), np.uint8), {"features": np.zeros((1, 3), np.float32)}).save(tmp_path)
    with np.load(tmp_path / REFERENCE) as saved:
        assert saved.files == ["pixels", "output:features"]


def test_an_artifact_without_one_has_none(tmp_path: Path) -> None:
    assert replace(plan().artifact, path=tmp_path).reference() is None
