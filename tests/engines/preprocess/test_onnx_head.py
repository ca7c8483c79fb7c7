"""The head of nodes against ``Normalizer``, for every field of the spec that both read."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper

from engines.preprocess.normalize import PIXELS, Normalizer
from engines.preprocess.onnx_head import with_pixels_input
from export.artifact import Artifact
from export.errors import CellError
from export.spec import PreprocessSpec

UNIT = st.tuples(*[st.floats(0, 1)] * 3)
SPREAD = st.tuples(*[st.floats(0.1, 1)] * 3)
LAYOUT, ORDER = st.sampled_from(["NCHW", "NHWC"]), st.sampled_from(["RGB", "BGR"])


def network(
    spec: PreprocessSpec, name: str = "image", inside: str = "inside", opset: int = 17, dtype: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """Hands its input on, through a tensor called ``inside``."""
    shape: list[str | int | None] = (
        ["n", spec.height, spec.width, 3] if spec.layout == "NHWC" else ["n", 3, spec.height, spec.width]
    )
    graph = helper.make_graph(
        [helper.make_node("Neg", [name], [inside]), helper.make_node("Neg", [inside], ["features"])],
        "network",
        [helper.make_tensor_value_info(name, dtype, shape)],
        [helper.make_tensor_value_info("features", dtype, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(model: onnx.ModelProto, pixels: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == [PIXELS]
    return session.run(None, {PIXELS: pixels})[0]


@given(st.data(), UNIT, SPREAD, LAYOUT, ORDER, st.sampled_from([1, 255]), st.sampled_from([11, 17, 22]))
def test_equals_the_normalizer(
    data: st.DataObject, mean: Any, std: Any, layout: Any, order: Any, value_range: Any, opset: int
) -> None:
    if value_range == 255:
        mean, std = tuple(255 * m for m in mean), tuple(255 * s for s in std)
    n, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    pixels = data.draw(arrays.arrays(np.uint8, (n, height, width, 3)))
    spec = PreprocessSpec(
        height, width, mean=mean, std=std, layout=layout, channel_order=order, value_range=value_range
    )
    model = with_pixels_input(network(spec, opset=opset), spec, "image")
    assert [o.version for o in model.opset_import] == [opset]
    np.testing.assert_allclose(run(model, pixels), Normalizer(spec)(pixels), rtol=1e-6, atol=1e-6)


def test_the_batch_axis_stays_free_and_the_given_model_as_it_was() -> None:
    spec = PreprocessSpec(5, 7)
    given_model = network(spec)
    before = given_model.SerializeToString()
    model = with_pixels_input(given_model, spec, "image")
    assert given_model.SerializeToString() == before
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["n", 5, 7, 3]
    for n in (1, 4):
        assert run(model, np.zeros((n, 5, 7, 3), np.uint8)).shape == (n, 3, 5, 7)


@pytest.mark.parametrize(
    ("name", "inside"),
    [("pixels", "inside"), ("image", "pixels"), ("pixels", "network_pixels"), ("image", "pixels_scale")],
)
def test_names_do_not_collide(name: str, inside: str) -> None:
    spec = PreprocessSpec(4, 4, channel_order="BGR")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    found = run(with_pixels_input(network(spec, name, inside), spec, name), pixels)
    np.testing.assert_allclose(found, Normalizer(spec)(pixels), rtol=1e-6, atol=1e-6)


def test_a_name_within_a_branch_is_renamed_with_the_rest() -> None:
    spec = PreprocessSpec(4, 4)
    model = network(spec, "pixels")
    shape: list[str | int | None] = ["n", 3, 4, 4]
    branches = {
        which: helper.make_graph(
            [helper.make_node("Identity", ["pixels"], [f"{which}_out"])],
            which,
            [],
            [helper.make_tensor_value_info(f"{which}_out", TensorProto.FLOAT, shape)],
        )
        for which in ("then_branch", "else_branch")
    }
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("If", ["yes"], ["features"], **branches))
    pixels = np.full((1, 4, 4, 3), 99, np.uint8)
    found = run(with_pixels_input(model, spec, "pixels"), pixels)
    np.testing.assert_allclose(found, Normalizer(spec)(pixels), rtol=1e-6, atol=1e-6)


def test_a_real_network_gives_the_same_features(artifact: Artifact, pixels: Any) -> None:
    options = onnxruntime.SessionOptions()
    plain = onnxruntime.InferenceSession(str(artifact.onnx), options, providers=["CPUExecutionProvider"])
    wanted = plain.run(None, {artifact.input: Normalizer(artifact.preprocess)(pixels)})[0]
    headed = with_pixels_input(onnx.load(str(artifact.onnx)), artifact.preprocess, artifact.input)
    np.testing.assert_allclose(run(headed, pixels), wanted, rtol=1e-4, atol=1e-5)


def test_an_input_that_is_not_there_is_named() -> None:
    spec = PreprocessSpec(4, 4)
    with pytest.raises(CellError, match="no input 'other'") as caught:
        with_pixels_input(network(spec), spec, "other")
    assert "image" in caught.value.why


def test_an_input_of_another_type_is_refused() -> None:
    spec = PreprocessSpec(4, 4)
    with pytest.raises(CellError, match="not float32"):
        with_pixels_input(network(spec, dtype=TensorProto.FLOAT16), spec, "image")
