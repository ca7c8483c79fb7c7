from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export.artifact import Reference
from export.convert.onnx_from_torch import artifact
from export.convert.verify import closeness, run, session, verify
from export.errors import CellError
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.loaders import eager

NAME = "test_resnet.r160_in1k@random"


@pytest.mark.parametrize("wrong", ["features", "map_s4", "map_s32"])
def test_the_gate_names_the_output_that_is_wrong(wrong: str, shared_store: Store, photos: Path, tmp_path: Path) -> None:
    made = artifact(resolve(NAME), shared_store, images=photos, taps=["all"])
    folder = tmp_path / "copy"
    shutil.copytree(made.path, folder)
    assert verify(folder, made.preprocess) == made.parity
    model = onnx.load(made.onnx)
    renamed = next(o for o in model.graph.output if o.name == wrong)
    renamed.name = f"{wrong} right"
    for node in model.graph.node:
        for ends in (node.input, node.output):
            ends[:] = [renamed.name if end == wrong else end for end in ends]
    model.graph.initializer.append(numpy_helper.from_array(np.array(1.01, np.float32), "factor"))
    model.graph.node.append(onnx.helper.make_node("Mul", [renamed.name, "factor"], [wrong]))
    renamed.name = wrong
    onnx.save(model, folder / made.onnx.name)
    damaged = verify(folder, made.preprocess)
    assert (damaged.output, damaged.passed) == (wrong, False)
    assert damaged.relative_error == pytest.approx(0.01, rel=0.05)


def test_the_reference_holds_what_the_eager_module_gives(shared_store: Store, photos: Path) -> None:
    import torch

    from export.reference import normalize

    made = artifact(resolve(NAME), shared_store, images=photos, taps=["all"])
    found = Reference.load(made.path)
    assert found.pixels.shape == (7, made.preprocess.height, made.preprocess.width, 3)
    module = eager(resolve(NAME), shared_store).module
    with torch.inference_mode():
        wanted = module(torch.from_numpy(normalize(found.pixels, made.preprocess))).numpy()
    np.testing.assert_allclose(found.outputs["features"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 7, 10])
def test_a_session_is_run_to_the_last_image(batch: int, shared_store: Store, photos: Path) -> None:
    made = artifact(resolve(NAME), shared_store, images=photos)
    values = np.random.default_rng(0).normal(size=(7, 3, 160, 160)).astype(np.float32)
    found = run(session(made.onnx), ["features"], values, batch)["features"]
    np.testing.assert_allclose(
        found, run(session(made.onnx), ["features"], values, 7)["features"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_every_image_is_compared(count: int, shared_store: Store, photos: Path) -> None:
    made = artifact(resolve(NAME), shared_store, images=photos)
    values = np.random.default_rng(0).normal(size=(count, 3, 160, 160)).astype(np.float32)
    runtime = session(made.onnx)
    wanted = run(runtime, ["features"], values, count)
    assert closeness(runtime, wanted, values).passed
    for image in range(count):
        damaged = wanted["features"].copy()
        damaged[image] *= 1.01
        found = closeness(runtime, {"features": damaged}, values)
        assert (found.passed, found.images) == (False, count)


def test_a_module_that_gives_the_same_features_for_all_photographs_is_refused(
    shared_store: Store, photos: Path, tmp_path: Path
) -> None:
    zeros = tmp_path / "zeros.pth"
    state = eager(resolve(NAME), shared_store).module.state_dict()
    torch.save({name: torch.zeros_like(values) for name, values in state.items()}, zeros)
    backbone = resolve(NAME.removesuffix("@random"), weights=zeros)
    with pytest.raises(CellError, match="gives the same features for all of"):
        artifact(backbone, shared_store, images=photos)
