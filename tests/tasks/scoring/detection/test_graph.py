"""The head as ONNX: the same detections as its twin in torch, in ONNX Runtime and in OpenVINO, at any batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tasks.scoring.detection import graph
from tasks.scoring.detection.grid import Grid
from tasks.scoring.detection.recipe import MASK_SIDE, Recipe

TAPS = {
    "three taps": ({"map_s8": (5, 12, 16), "map_s16": (7, 6, 8), "map_s32": (9, 3, 4)}, Grid(12, 16, (96, 128))),
    # 75 pixels of a network that rounds up: 10, 5 and 3 cells, so that the factor 10 / 3 is no float
    "odd sizes": ({"map_s8": (5, 10, 10), "map_s16": (7, 5, 5), "map_s32": (9, 3, 3)}, Grid(10, 10, (75, 75))),
    "a transformer's one tap": ({"map_s14": (6, 5, 7)}, Grid(10, 14, (70, 98))),
}
RECIPES = {"3x3": Recipe(3), "1x1": Recipe(1), "masks": Recipe(3, shapes=True)}
PRESENT = np.array([0, 2, 5], np.int64)
COUNT = 20


def case(
    taps: str, recipe: str
) -> tuple[bytes, dict[str, npt.NDArray[np.float32]], dict[str, npt.NDArray[np.float32]]]:
    """The model, maps of three images, and what the twin finds there."""
    torch = pytest.importorskip("torch")
    from tasks.scoring.detection import network
    from tasks.scoring.detection.decoding import decoded

    shapes, grid = TAPS[taps]
    generator = np.random.default_rng(0)
    maps = {name: generator.normal(3, 2, (3, *shape)).astype(np.float32) for name, shape in shapes.items()}
    mean = {name: generator.normal(3, 1, (shape[0], 1, 1)).astype(np.float32) for name, shape in shapes.items()}
    scale = {name: generator.uniform(0.2, 2, (shape[0], 1, 1)).astype(np.float32) for name, shape in shapes.items()}
    channels = {name: shape[0] for name, shape in shapes.items()}
    weights = network.initial(channels, len(PRESENT), RECIPES[recipe], 0)
    noise = torch.Generator().manual_seed(1)
    weights = {name: part + torch.randn(part.shape, generator=noise) * 0.1 for name, part in weights.items()}
    taken = {name: torch.from_numpy((values - mean[name]) * scale[name]) for name, values in maps.items()}
    found = network.forward(weights, taken, grid)
    wanted = decoded(found, grid, 9.5, torch.from_numpy(PRESENT.astype(np.float32)), COUNT)
    arrays = {name: part.numpy() for name, part in weights.items()}
    made = graph.model("head", shapes, graph.folded(arrays, mean, scale), grid, 9.5, PRESENT, COUNT)
    return made, maps, {name: part.numpy() for name, part in wanted.items()}


def by_onnxruntime(model: bytes, maps: dict[str, npt.NDArray[np.float32]]) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, maps), strict=True))


def by_openvino(model: bytes, maps: dict[str, npt.NDArray[np.float32]]) -> dict[str, Any]:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(maps)
    return {output.any_name: found[output] for output in compiled.outputs}


@pytest.mark.parametrize("run", [by_onnxruntime, by_openvino])
@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("taps", list(TAPS))
def test_the_graph_finds_what_its_twin_finds(taps: str, recipe: str, run: Any) -> None:
    model, maps, wanted = case(taps, recipe)
    assert (wanted["scores"][:, 5] > 0).all()
    for rows in (slice(0, 1), slice(None)):
        found = run(model, {name: values[rows] for name, values in maps.items()})
        assert set(found) == set(wanted)
        real = wanted["scores"][rows] > 1e-4  # of equal zeros any may be first
        np.testing.assert_allclose(found["scores"], wanted["scores"][rows], atol=1e-5)
        np.testing.assert_array_equal(found["labels"][real], wanted["labels"][rows][real])
        np.testing.assert_allclose(found["boxes"][real], wanted["boxes"][rows][real], atol=1e-4, rtol=1e-5)
        if recipe == "masks":
            assert found["masks"].shape[2:] == (MASK_SIDE, MASK_SIDE)
            np.testing.assert_allclose(found["masks"][real], wanted["masks"][rows][real], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_the_graph_is_of_the_form_that_a_head_has(recipe: str) -> None:
    import onnx

    model = onnx.load_from_string(case("three taps", recipe)[0])
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    shapes, _ = TAPS["three taps"]
    float32 = onnx.TensorProto.FLOAT
    for value in model.graph.input:
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert (sides, value.type.tensor_type.elem_type) == (["n", *shapes[value.name]], float32)
    for value in model.graph.output:
        assert value.type.tensor_type.elem_type == float32
        assert value.type.tensor_type.shape.dim[0].dim_param == "n"
    used = {node.op_type for node in model.graph.node}
    assert not used & {"NonZero", "NonMaxSuppression", "GroupNormalization", "Loop", "If", "Where"}


def test_detections_are_cells_that_no_neighbour_exceeds() -> None:
    """Two cells side by side are one object, and two apart are two; each of its own class's box."""
    torch = pytest.importorskip("torch")
    from tasks.scoring.detection.decoding import decoded

    grid = Grid(4, 6, (32, 48))
    heat = torch.full((1, 2, 4, 6), -9.0)
    heat[0, 0, 1, 1], heat[0, 0, 1, 2], heat[0, 1, 1, 2], heat[0, 0, 3, 5] = 3.0, 2.0, 1.0, 0.5
    found = decoded({"heat": heat, "sides": torch.zeros(1, 4, 4, 6)}, grid, 4.0, torch.tensor([7.0, 9.0]), 3)
    np.testing.assert_allclose(found["scores"][0].numpy(), 1 / (1 + np.exp([-3, -1, -0.5])), rtol=1e-6)
    assert found["labels"][0].tolist() == [7, 9, 7]
    assert found["boxes"][0].tolist() == [[8, 8, 16, 16], [16, 8, 24, 16], [40, 24, 48, 32]]
