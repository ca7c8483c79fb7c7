from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import CLASSES, mask, masks_of, remasked, scenes, with_logits

from export.spec import PreprocessSpec
from tasks.base import Batchwise, Fitted, Splits
from tasks.scoring.features import Floats
from tasks.scoring.segmentation import linear_head
from tasks.scoring.segmentation.linear_head import class_map, fit, head, logits, scales


@pytest.fixture(scope="module")
def splits() -> Splits:
    return scenes()


@pytest.fixture(scope="module")
def fitted(splits: Splits) -> Fitted:
    return fit(splits.train, splits.val, 0)


def made(shapes: dict[str, tuple[int, int, int]], classes: int = 4) -> Fitted:
    """A head of random weights over maps of any shape."""
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        name: generator.normal(size=(classes, shape[0])).astype(np.float32) for name, shape in shapes.items()
    }
    arrays |= {"bias": generator.normal(size=classes).astype(np.float32), "cells": np.ones(classes)}
    maps = {name: generator.normal(size=(3, *shape)).astype(np.float32) for name, shape in shapes.items()}
    names = tuple(f"class {i}" for i in range(classes))
    masks = masks_of([mask(generator, 20, 30, classes) for _ in range(3)], names)
    return Fitted(Batchwise(maps, masks, PreprocessSpec(360, 480, crop_mode="squash")), 0, arrays)


def emitted(model: bytes, maps: dict[str, Floats]) -> list[Floats]:
    """By ONNX Runtime."""
    found: list[Floats] = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, maps)
    return found


def by_openvino(model: bytes, maps: dict[str, Floats]) -> list[Floats]:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(maps)
    return [found[output] for output in compiled.outputs]


SHAPES = {
    "three taps": {"map_s8": (6, 44, 60), "map_s16": (10, 22, 30), "map_s32": (12, 11, 15)},
    "sizes that do not divide": {"map_s8": (6, 45, 60), "map_s16": (10, 23, 30), "map_s32": (12, 12, 15)},
    "one tap": {"map_s14": (6, 25, 34)},
    "two taps of one size": {"a": (6, 8, 8), "b": (3, 8, 8)},
    "the coarser first": {"map_s16": (6, 4, 8), "map_s8": (3, 8, 16)},
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_graph_gives_what_the_weights_say(name: str) -> None:
    """On two engines, of a batch of three and of one."""
    fitted = made(SHAPES[name])
    own = head(fitted)
    model = onnx.load_from_string(own.model)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert own.compared == ("logits",)
    assert own.parameters == sum(4 * c for c, _, _ in SHAPES[name].values()) + 4
    assert own.parameters == sum(int(np.prod(w.dims)) for w in model.graph.initializer if "scales" not in w.name)
    maps = fitted.train.at(np.arange(3))
    grid = max((shape[1:] for shape in SHAPES[name].values()), key=lambda size: size[0])
    wanted = logits(fitted.arrays, maps)
    assert wanted.shape == (3, 4, *grid)
    for run in (emitted, by_openvino):
        np.testing.assert_allclose(run(own.model, maps)[0], wanted, atol=2e-4)
        [alone] = run(own.model, {tap: values[1:2] for tap, values in maps.items()})
        np.testing.assert_allclose(alone, wanted[1:2], atol=2e-4)


def test_the_twin_is_torchs_convolutions_enlarged() -> None:
    """In the other order: channels are enlarged, then weighted."""
    import torch
    from torch.nn.functional import conv2d, interpolate

    fitted = made(SHAPES["sizes that do not divide"])
    maps = fitted.train.at(np.arange(3))
    total = torch.from_numpy(fitted.arrays["bias"])[None, :, None, None]
    for name, values in maps.items():
        wide = interpolate(torch.from_numpy(values), (45, 60), mode="bilinear", align_corners=False)
        total = total + conv2d(wide, torch.from_numpy(fitted.arrays[name])[:, :, None, None])
    np.testing.assert_allclose(logits(fitted.arrays, maps), total.numpy(), atol=1e-4)


@pytest.mark.parametrize("size", [None, (360, 480), (45, 60)])
def test_a_class_map_is_the_largest_logit(size: tuple[int, int] | None) -> None:
    import torch
    from torch.nn.functional import interpolate

    fitted = made(SHAPES["sizes that do not divide"])
    mapped = class_map(head(fitted), size)
    onnx.checker.check_model(onnx.load_from_string(mapped.model), full_check=True)
    assert (mapped.compared, mapped.parameters) == (("logits",), head(fitted).parameters)
    maps = fitted.train.at(np.arange(3))
    planes, found = emitted(mapped.model, maps)
    wanted = interpolate(torch.from_numpy(planes), size or (45, 60), mode="bilinear", align_corners=False)
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape[:1] + wanted.shape[2:]
    assert (found == wanted.argmax(dim=1).numpy()).mean() > 0.9999
    assert (by_openvino(mapped.model, maps)[1] == found).mean() > 0.999


def test_many_classes_need_a_wider_type() -> None:
    for classes, kind in ((256, "tensor(uint8)"), (257, "tensor(int32)")):
        fitted = made({"map_s8": (2, 4, 4)}, classes)
        session = onnxruntime.InferenceSession(class_map(head(fitted)).model, providers=["CPUExecutionProvider"])
        assert [(v.name, v.type) for v in session.get_outputs()][1] == ("classes", kind)


@settings(max_examples=200)
@given(st.integers(1, 400), st.integers(1, 3000))
def test_no_row_is_lost_by_rounding(have: int, want: int) -> None:
    found = scales((have, 1), (want, 1))
    assert int(np.float32(have) * found[2]) == int(have * float(found[2])) == want
    assert found.tolist()[:2] == [1, 1]


@pytest.mark.parametrize("axes", [None, 3])
def test_logits_of_the_graph_are_those_that_the_penalty_was_chosen_by(splits: Splits, axes: int | None) -> None:
    found = fit(splits.train, splits.val, 0, axes)
    assert found.chosen["val_mIoU"] == max(row["val_mIoU"] for row in found.sweep)
    assert [row["penalty"] for row in found.sweep] == list(linear_head.PENALTIES)
    seen = with_logits(found, head(found).model, splits.val)
    from tasks.scoring.segmentation.judging import score_of_head

    assert score_of_head(found, seen).main.value == pytest.approx(found.chosen["val_mIoU"], abs=0.02)
    assert found.chosen["val_mIoU"] > 50
    for name in ("map_s8", "map_s16"):
        assert found.arrays[name].dtype == np.float32
        assert np.linalg.matrix_rank(found.arrays[name], tol=1e-4) <= (axes or 4)


def test_maps_of_any_scale_and_offset_give_the_same(splits: Splits, fitted: Fitted) -> None:
    """Standardisation lies in the weights; a channel that is constant has none."""

    def moved(part: Batchwise) -> Batchwise:
        outputs = {name: np.asarray(values) * np.float32(1e-3) + 7 for name, values in part.outputs.items()}
        outputs["map_s16"][:, 0] = 5
        return replace(part, outputs=outputs)

    other = fit(moved(splits.train), moved(splits.val), 0)
    assert not other.arrays["map_s16"][:, 0].any()
    np.testing.assert_allclose(other.arrays["map_s8"] * 1e-3, fitted.arrays["map_s8"], atol=0.4)
    assert other.chosen["val_mIoU"] == pytest.approx(fitted.chosen["val_mIoU"], abs=6)


def test_a_class_that_train_lacks_is_never_found(splits: Splits) -> None:
    def without(part: Batchwise, label: int) -> Batchwise:
        return remasked(part, [np.where(part.masks[i] == label, -1, part.masks[i]) for i in range(len(part))])

    found = fit(without(splits.train, 2), splits.val, 0)
    assert found.arrays["cells"][2] == 0
    assert not found.arrays["map_s8"][2].any()
    planes = logits(found.arrays, splits.test.at(np.arange(len(splits.test))))
    assert (planes[:, 2] == -1).all()
    np.testing.assert_allclose(planes.sum(axis=1), -1, atol=1e-3)  # the others sum to nothing
    assert (planes.argmax(axis=1) != 2).all()


def test_it_is_the_same_every_time_and_the_seed_matters(splits: Splits, fitted: Fitted) -> None:
    again, other = fit(splits.train, splits.val, 0), fit(splits.train, splits.val, 1)
    assert (again.sweep, again.chosen) == (fitted.sweep, fitted.chosen)
    for name, values in fitted.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)
    # pictures of 48 cells: all are drawn, in another order
    assert not np.array_equal(other.arrays["map_s8"], fitted.arrays["map_s8"])


def test_nothing_is_learned_from_noise() -> None:
    informed, blind = (scenes(noise=noise) for noise in (0.3, 300))
    found = [fit(splits.train, splits.val, 0).chosen["val_mIoU"] for splits in (informed, blind)]
    assert found[0] > found[1] + 25
    assert len(CLASSES) == 4
