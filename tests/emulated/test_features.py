"""What the engines compute on Arm, compared with what they compute here; 40 to 110 s each beside other jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import PI4, PI5
from emulated import extract, networks
from emulated.bed import LIGHT, Board
from nets import tiny

from engines.base import Pixels
from export.artifact import Artifact
from export.parity import compare
from export.spec import Precision
from export.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.network]
PROGRAM = Path(extract.__file__)
ORT, OPENVINO = "ort:cpu", "openvino:cpu"
CLOSE = 1e-5
"""fp32 on Arm and on x86, of the largest value: sums in another order."""
ROUNDED = 0.998
"""Least cosine of INT8 on Arm to x86: both round the sums of a layer, and not alike."""


@pytest.fixture(scope="module")
def boards(make_board: Callable[..., Board]) -> dict[str, Board]:
    return {"cortex-a72": make_board(PI4, core="cortex-a72"), "cortex-a76": make_board(PI5, core="cortex-a76")}


def there(board: Board, engine: str, of: Artifact, pixels: Pixels, store: Store, folder: Path) -> tuple[Any, Any]:
    """The features on a board, and what its plan says."""
    np.save(folder / "pixels.npy", pixels)
    said = board.run([PROGRAM, store.root, of.key, engine, folder / "pixels.npy", folder / "there.npz"])
    with np.load(folder / "there.npz") as outputs:
        return outputs["features"], json.loads(said.stdout)


def here(engine: str, of: Artifact, pixels: Pixels, store: Store, folder: Path) -> tuple[Any, Any]:
    """The features on this machine, and what its plan says."""
    np.save(folder / "pixels.npy", pixels)
    said = extract.extract(store.root, of.key, engine, folder / "pixels.npy", folder / "here.npz")
    with np.load(folder / "here.npz") as outputs:
        return outputs["features"], said


def agree(boards: dict[str, Board], of: Artifact, pixels: Pixels, store: Store, folder: Path) -> None:
    """ONNX Runtime's features: equal in every bit on both cores, and close to this machine's."""
    x86, said = here(ORT, of, pixels, store, folder)
    a72, one = there(boards["cortex-a72"], ORT, of, pixels, store, folder)
    a76, other = there(boards["cortex-a76"], ORT, of, pixels, store, folder)
    assert one["plan"] != other["plan"]  # instructions are part of a plan's key
    assert one["arithmetic"] == other["arithmetic"] == said["arithmetic"]
    assert np.array_equal(a72, a76)
    if of.precision is Precision.FP32:
        np.testing.assert_allclose(a76, x86, rtol=0, atol=CLOSE * np.abs(x86).max())
    else:
        assert compare(a76, x86, of.precision).cosine_min >= ROUNDED


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
@pytest.mark.parametrize("net", [tiny, networks.convolutions])
def test_small_networks_agree(
    net: Callable[[], Any], precision: Precision, boards: dict[str, Board], store: Store, tmp_path: Path
) -> None:
    agree(boards, networks.made(net, precision, store), networks.pixels(4), store, tmp_path)


@pytest.mark.parametrize(
    ("backbone", "precision"),
    [("mobilenetv2", Precision.FP32), ("mobilenetv2", Precision.INT8), ("vit_s14_focus", Precision.INT8)],
)
def test_trained_networks_of_the_user_s_store_agree(
    backbone: str, precision: Precision, boards: dict[str, Board], store: Store, tmp_path: Path
) -> None:
    found = networks.stored(backbone, precision, store)
    if not found:
        pytest.skip(f"the store holds no {backbone} in {precision}")
    artifact, photographs = found
    agree(boards, artifact, photographs[:1], store, tmp_path)


def test_openvino_computes_convolutions_of_int8_files_in_fp32_and_says_so(
    make_board: Callable[..., Board], store: Store, tmp_path: Path
) -> None:
    board = make_board(PI5, packages=(*LIGHT, "openvino"))
    pixels = networks.pixels(4)
    exact = networks.made(networks.convolutions, Precision.FP32, store)
    x86, _ = here(OPENVINO, exact, pixels, store, tmp_path)
    a76, said = there(board, OPENVINO, exact, pixels, store, tmp_path)
    np.testing.assert_allclose(a76, x86, rtol=0, atol=CLOSE * np.abs(x86).max())
    assert said["arithmetic"] == {"fp32": 4}
    rounded = networks.made(networks.convolutions, Precision.INT8, store)
    x86, of_x86 = here(OPENVINO, rounded, pixels, store, tmp_path)
    a76, said = there(board, OPENVINO, rounded, pixels, store, tmp_path)
    assert compare(a76, x86, Precision.INT8).cosine_min >= 0.99
    assert of_x86["arithmetic"].get("int8", 0) >= 3
    assert said["arithmetic"].get("int8", 0) <= 1
    assert said["emulated"]
