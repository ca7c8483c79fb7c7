"""The program of a shipped folder against the project's own rules: decoding, placing, values, boxes and masks."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.shipping import predict_source
from export.geometry import Frame
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.spec import PreprocessSpec
from tasks.scoring.detection.detections import in_picture
from tasks.scoring.segmentation.geometry import mask_of

PLAIN = PreprocessSpec(48, 64)
SPECS = [
    PLAIN,
    replace(PLAIN, width=48, crop_pct=0.9, interpolation="bilinear"),
    replace(PLAIN, crop_mode="squash", crop_pct=1.0, channel_order="BGR", value_range=255, mean=(103.9, 116.8, 123.7)),
    replace(PLAIN, crop_mode="border", crop_pct=1.0, fill=(124, 116, 104), layout="NHWC"),
]
LABELS = ("ash", "birch", "cedar")


def program(folder: Path, spec: PreprocessSpec, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``predict.py`` as a folder of this preprocessing has it."""
    (folder / "predict.py").write_bytes(predict_source().read_bytes())
    (folder / "preprocess.json").write_text(json.dumps({"kind": "labels", **spec.as_json()}))
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in LABELS))
    network = ModuleType("network")
    network.network = lambda file, options: None  # type: ignore[attr-defined]  # which opens an engine
    monkeypatch.setitem(sys.modules, "network", network)
    found = spec_from_file_location("predict_of_folder", folder / "predict.py")
    assert found
    assert found.loader
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def drawn(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(drawn(50, 70, 3)),
        Image.fromarray(drawn(50, 70)),
        Image.fromarray(drawn(50, 70, 4)),
        Image.fromarray(drawn(50, 70, dtype=np.uint16)),
        Image.fromarray(drawn(50, 70, 3)).quantize(16),
        Image.fromarray(drawn(50, 70)).convert("1"),
        Image.fromarray(drawn(50, 70)).convert("LA"),
    ],
    ids=lambda image: image.mode,
)
def test_it_decodes_by_the_project_s_rule(image: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    image.save(content, "PNG")
    found = program(tmp_path, PLAIN, monkeypatch).decoded(io.BytesIO(content.getvalue()))
    np.testing.assert_array_equal(np.asarray(found), decode(content.getvalue()))


@pytest.mark.parametrize("size", [(50, 70), (200, 90), (48, 64), (31, 300)])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.crop_mode)
def test_values_are_those_of_the_reference(
    spec: PreprocessSpec, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = drawn(*size, 3)
    found = program(tmp_path, spec, monkeypatch).values(Image.fromarray(pixels))
    wanted = normalize(resize_and_crop(pixels, spec)[None], spec)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.crop_mode)
def test_boxes_lie_where_they_are_judged(spec: PreprocessSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {
        "boxes": np.array([[[3, 4, 20, 30], [10, 0, 64, 48], [1, 1, 2, 2]]], np.float32),
        "scores": np.array([[0.4, 0.9, 0.1]], np.float32),
        "labels": np.array([[0, 2, 1]], np.float32),
    }
    found = program(tmp_path, spec, monkeypatch).boxes(outputs, Image.fromarray(drawn(90, 130, 3)))
    wanted = in_picture(outputs, Frame.of(spec, 90, 130))
    assert [row["label"] for row in found] == ["cedar", "ash"], "the best first, and none below 0.3"
    np.testing.assert_allclose([row["box"] for row in found], wanted.boxes[:2], atol=0.051)
    np.testing.assert_allclose([row["score"] for row in found], wanted.scores[:2])


@pytest.mark.parametrize("spec", [SPECS[2], SPECS[3]], ids=lambda spec: spec.crop_mode)
def test_shares_of_masks_are_those_that_are_judged(
    spec: PreprocessSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.random.default_rng(0).normal(size=(1, 3, 6, 8)).astype(np.float32)
    found = program(tmp_path, spec, monkeypatch).masks({"logits": logits}, Image.fromarray(drawn(96, 128, 3)))
    mask = mask_of(logits[0], Frame.of(spec, 96, 128))
    wanted = {name: float((mask == i).mean()) for i, name in enumerate(LABELS)}
    assert {row["label"]: row["score"] for row in found} == pytest.approx(wanted, abs=0.02)
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
