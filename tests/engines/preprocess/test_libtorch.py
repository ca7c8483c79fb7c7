from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT
from torch.nn.functional import interpolate

from engines.preprocess import libtorch
from export.errors import CellError, Unavailable

SIDES = st.integers(1, 90)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["bilinear", "bicubic"]), st.integers(0, 99))
def test_pixels_are_those_of_torchs_own_function(
    height: int, width: int, to_height: int, to_width: int, interpolation: str, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    found = libtorch.resized(image, to_height, to_width, interpolation)
    pixels = torch.from_numpy(image)[None].permute(0, 3, 1, 2)
    wanted = interpolate(pixels, (to_height, to_width), mode=interpolation, antialias=True, align_corners=False)
    np.testing.assert_array_equal(found, wanted[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(image, before)
    assert found.flags.owndata


def test_no_torch_is_imported_and_it_can_be_imported_afterwards() -> None:
    code = (
        "import sys, numpy as np\n"
        "from engines.preprocess import libtorch\n"
        "image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)\n"
        "small = libtorch.resized(image, 3, 4, 'bilinear')\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "assert torch.ones(2).sum() == 2\n"
        "assert (libtorch.resized(image, 3, 4, 'bilinear') == small).all()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_left_behind() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    image = np.zeros((64, 64, 3), np.uint8)
    libtorch.resized(image, 256, 256, "bilinear")
    before = resident()
    for _ in range(500):
        libtorch.resized(image, 256, 256, "bilinear")
    assert resident() - before < 4_000, "pages; 500 images are 24,000"


def test_what_torch_refuses_is_an_error() -> None:
    with pytest.raises(CellError, match="resize failed"):
        libtorch.resized(np.zeros((4, 4, 3), np.uint8), 0, 4, "bilinear")


@pytest.mark.parametrize("found", [None, ModuleSpec("torch", None, origin="/nowhere/torch/__init__.py")])
def test_without_the_library_the_error_says_what_to_install(
    found: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libtorch, "find_spec", lambda name: found)
    with pytest.raises(Unavailable) as error:
        libtorch._library.__wrapped__()
    assert error.value.remedy.startswith("pip install")
