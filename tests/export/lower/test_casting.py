"""fp16 and bf16 files: what is narrow, what stays fp32 and why, and where the first broken node is."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from export.errors import CellError
from export.lower.activations import features
from export.lower.casting import NUMPY, cast, narrowable, narrowed, rounded
from export.lower.choice import CastChoice, choose
from export.lower.diagnosis import bound_db, first_below, noise
from export.lower.graph import named, raised, tensor_types
from export.spec import Precision

NARROW = [Precision.FP16, Precision.BF16]


def model_of(nodes: list[onnx.NodeProto], constants: dict[str, npt.NDArray[np.float32]], width: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def norm_by_hand(gain: float = 1.0) -> onnx.ModelProto:
    """x·W → its mean square, by Mul and ReduceMean as older exporters write it → x·W / √. With a large ``gain`` the
    square does not fit into fp16, and the features do not change."""
    draw = np.random.default_rng(1)
    weight = draw.normal(size=(16, 32)).astype(np.float32) * gain
    last = draw.normal(size=(32, 8)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["hidden"], "first"),
        helper.make_node("Mul", ["hidden", "hidden"], ["squares"], "square"),
        helper.make_node("ReduceMean", ["squares"], ["mean"], "mean", axes=[-1], keepdims=1),
        helper.make_node("Sqrt", ["mean"], ["size"], "root"),
        helper.make_node("Div", ["hidden", "size"], ["normal"], "divide"),
        helper.make_node("MatMul", ["normal", "last"], ["features"], "last"),
    ]
    return model_of(nodes, {"weight": weight, "last": last}, 16)


@pytest.fixture(scope="module")
def values() -> npt.NDArray[np.float32]:
    return np.random.default_rng(2).normal(size=(16, 16)).astype(np.float32)


def test_what_overflows_in_fp16_stays_fp32(values: npt.NDArray[np.float32]) -> None:
    model = norm_by_hand(gain=400.0)
    raw = rounded(cast(model, Precision.FP16))
    assert not np.allclose(features(raw, values), features(model, values), rtol=0.1)
    chosen = choose(model, Precision.FP16, values[:8], values[8:], lambda line: None)
    assert isinstance(chosen.choice, CastChoice)
    assert "square" in chosen.choice.overflow
    assert chosen.choice.cosine_min > 0.9999
    np.testing.assert_allclose(features(chosen.judged, values), features(model, values), rtol=0.05, atol=0.02)
    types = tensor_types(chosen.model)
    assert types["squares"] == TensorProto.FLOAT
    assert types["normal"] == TensorProto.FLOAT16


def test_nothing_stays_fp32_where_nothing_overflows(values: npt.NDArray[np.float32]) -> None:
    chosen = choose(norm_by_hand(), Precision.FP16, values[:8], values[8:], lambda line: None)
    assert isinstance(chosen.choice, CastChoice)
    assert chosen.choice.kept_fp32 == ()
    assert chosen.choice.narrow_nodes == 6


def test_the_first_broken_node_is_named(values: npt.NDArray[np.float32]) -> None:
    model = norm_by_hand(gain=400.0)
    below = first_below(model, rounded(cast(model, Precision.FP16)), values, bound_db(Precision.FP16))
    assert below is not None
    assert (below.node, below.operator) == ("square", "Mul")
    assert below.as_json()["snr_db"] == -999
    kept = cast(model, Precision.FP16, ["square", "mean", "root"])
    assert first_below(model, rounded(kept), values, bound_db(Precision.FP16)) is None
    assert next(n.node for n in noise(model, rounded(kept), values)) == "first"


def test_the_bound_is_the_cosines() -> None:
    draw = np.random.default_rng(0)
    signal = draw.normal(size=100_000)
    error = draw.normal(size=100_000) * 10 ** (-bound_db(Precision.INT8) / 20)
    cosine = signal @ (signal + error) / np.linalg.norm(signal) / np.linalg.norm(signal + error)
    assert cosine == pytest.approx(0.98, abs=2e-3)


@pytest.mark.parametrize("precision", NARROW)
def test_a_cast_file_is_valid_and_its_ends_are_float32(precision: Precision, values: npt.NDArray[np.float32]) -> None:
    model = norm_by_hand()
    made = cast(model, precision, ["mean"])
    onnx.checker.check_model(made, full_check=True)
    assert {e.type.tensor_type.elem_type for e in (*made.graph.input, *made.graph.output)} == {TensorProto.FLOAT}
    assert [n.name for n in narrowable(model, precision)] == [n.name for n in model.graph.node]
    assert len(model.graph.node) == 6  # the original is as it was
    error = np.abs(features(rounded(made), values) - features(model, values)).max()
    assert 0 < error < 0.1


@pytest.mark.parametrize("precision", NARROW)
def test_rounding_on_the_way_is_numpys(precision: Precision) -> None:
    """A product, then a sum: the value between them is rounded once, to nearest even."""
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["product"], "mul"),
        helper.make_node("Add", ["product", "term"], ["features"], "add"),
    ]
    factor, term = np.full(8, 1.2345, np.float32), np.full(8, 0.777, np.float32)
    model = model_of(nodes, {"factor": factor, "term": term}, 8)
    values = np.random.default_rng(3).normal(size=(4, 8)).astype(np.float32)
    kind = ml_dtypes.bfloat16 if precision is Precision.BF16 else np.float16

    def narrow(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return array.astype(kind).astype(np.float32)

    wanted = narrow(narrow(narrow(values) * narrow(factor)) + narrow(term))
    np.testing.assert_array_equal(features(rounded(cast(model, precision)), values), wanted)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30))
def test_what_is_finite_stays_finite(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    for to in NUMPY.values():
        with np.errstate(over="ignore"):
            small = narrowed(array, to).astype(np.float32)
        np.testing.assert_array_equal(np.isfinite(small), np.isfinite(array))


def test_branches_are_refused_with_a_sentence() -> None:
    output = helper.make_empty_tensor_value_info("a")
    one = helper.make_graph([helper.make_node("Identity", ["x"], ["a"])], "one", [], [output])
    node = helper.make_node("If", ["c"], ["features"], "if", then_branch=one, else_branch=one)
    model = model_of([node], {}, 4)
    with pytest.raises(CellError, match="branches"):
        cast(model, Precision.FP16)


def test_an_opset_is_raised_and_names_are_made_unique() -> None:
    model = norm_by_hand()
    for node in model.graph.node:
        node.name = "same"
    names = [n.name for n in named(model).graph.node]
    assert len(set(names)) == 6
    higher = raised(model, 22)
    assert [o.version for o in higher.opset_import] == [22]
    assert higher.ir_version >= 10
    assert [o.version for o in raised(model, 13).opset_import] == [17]
    model.opset_import[0].version = 13
    assert raised(model, 17).ir_version >= 8
