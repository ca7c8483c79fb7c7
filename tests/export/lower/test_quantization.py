"""Q/DQ pairs against the runtime's own quantiser, calibrators on histograms, smoothing, and the choice of nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export.errors import CellError
from export.lower.activations import BINS, Float, Histogram, features, histograms
from export.lower.choice import QuantizedChoice, choose
from export.lower.quantization import (
    CALIBRATORS,
    HALF_RANGE,
    activations,
    least_error,
    minmax,
    percentile,
    quantizable,
    quantized,
)
from export.lower.smoothing import places, smoothed
from export.parity import compare
from export.spec import Precision

WIDTH = 32


def perceptron(outliers: float = 1.0, seed: int = 0) -> onnx.ModelProto:
    """LayerNormalization → MatMul → Relu → Gemm; three channels of the first are ``outliers`` times larger, and the
    rows that read them as much smaller: it always computes the same."""
    draw = np.random.default_rng(seed)
    gain = np.ones(WIDTH, np.float32)
    gain[[3, 11, 20]] = outliers
    first = draw.normal(size=(WIDTH, 48)).astype(np.float32) / gain[:, None]
    constants = {
        "gain": gain,
        "shift": draw.normal(size=WIDTH).astype(np.float32) * gain,
        "first": first,
        "second": draw.normal(size=(16, 48)).astype(np.float32),
        "bias": draw.normal(size=16).astype(np.float32),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["x", "gain", "shift"], ["normal"], "norm", axis=-1),
        helper.make_node("MatMul", ["normal", "first"], ["hidden"], "first"),
        helper.make_node("Relu", ["hidden"], ["active"], "relu"),
        helper.make_node("Gemm", ["active", "second", "bias"], ["features"], "second", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 16])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def values() -> npt.NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(64, WIDTH)).astype(np.float32)


def thresholds_of(model: onnx.ModelProto, values: npt.NDArray[np.float32]) -> dict[str, float]:
    return {name: minmax(seen) for name, seen in histograms(model, activations(model), values)[0].items()}


@pytest.mark.parametrize("half", [False, True])
def test_int8_is_what_the_runtimes_own_quantiser_makes(
    half: bool, tmp_path: Path, values: npt.NDArray[np.float32]
) -> None:
    model = perceptron()

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{"x": values}]

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            return self.left.pop() if self.left else None

    onnx.save(model, tmp_path / "m.onnx")
    operators = ["MatMul", "Gemm"]
    quantize_static(
        tmp_path / "m.onnx",
        tmp_path / "theirs.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=operators,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        reduce_range=half,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": operators,
        },
    )
    theirs = features(onnx.load(tmp_path / "theirs.onnx"), values)
    ours = features(quantized(model, thresholds_of(model, values), Precision.INT8, half_range=half), values)
    step = np.abs(theirs).max() / 127  # their scales are (max − min) / 254 in another order of rounding
    assert np.abs(ours - theirs).max() < step
    assert compare(ours, theirs, Precision.FP32).cosine_min > 0.9999


def test_half_the_range_is_never_left(values: npt.NDArray[np.float32]) -> None:
    model = perceptron()
    found = quantized(model, thresholds_of(model, values), Precision.INT8, half_range=True)
    weights = [numpy_helper.to_array(i) for i in found.graph.initializer if i.data_type == TensorProto.INT8 and i.dims]
    assert max(int(np.abs(w.astype(np.int64)).max()) for w in weights) == HALF_RANGE


def test_a_channel_of_zeros_stays_zero(values: npt.NDArray[np.float32]) -> None:
    model = perceptron()
    weight = next(i for i in model.graph.initializer if i.name == "second")
    dead = numpy_helper.to_array(weight).copy()
    dead[4] = 0
    weight.CopyFrom(numpy_helper.from_array(dead, "second"))
    bias = numpy_helper.to_array(next(i for i in model.graph.initializer if i.name == "bias"))
    for precision in (Precision.INT8, Precision.FP8):
        found = features(quantized(model, thresholds_of(model, values), precision), values)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[:, 4], bias[4], rtol=1e-6)


def test_a_node_that_is_left_out_stays_fp32(values: npt.NDArray[np.float32]) -> None:
    model = perceptron()
    thresholds = thresholds_of(model, values)
    assert [n.name for n in quantizable(model)] == ["first", "second"]
    none = quantized(model, thresholds, Precision.INT8, ["first", "second"])
    np.testing.assert_array_equal(features(none, values), features(model, values))
    one = quantized(model, thresholds, Precision.INT8, ["first"])
    assert sum(n.op_type == "QuantizeLinear" for n in one.graph.node) == 1


def test_smoothing_keeps_the_function_and_mends_int8(values: npt.NDArray[np.float32]) -> None:
    model = perceptron(outliers=100.0)
    assert places(model) == ["normal"]

    def peaks(of: onnx.ModelProto) -> Float:
        return histograms(of, ["normal"], values, ["normal"])[1]["normal"].peaks

    smooth, scales = smoothed(model, {"normal": peaks(model)})
    np.testing.assert_allclose(peaks(model) / scales["normal"], peaks(smooth), rtol=1e-4)
    wanted = features(model, values)
    np.testing.assert_allclose(features(smooth, values), wanted, rtol=1e-4, atol=1e-4)
    spread = [found.max() / np.median(found) for found in (peaks(model), peaks(smooth))]
    assert spread[1] < spread[0] / 5
    plain, mended = (
        compare(features(quantized(m, thresholds_of(m, values), Precision.INT8), values), wanted, Precision.INT8)
        for m in (model, smooth)
    )
    assert plain.cosine_min < 0.9
    assert mended.cosine_min > 0.99
    chosen = choose(model, Precision.INT8, values[:32], values[32:], lambda line: None)
    assert isinstance(chosen.choice, QuantizedChoice)
    assert chosen.choice.smoothed


def test_what_has_no_weights_cannot_be_quantised(values: npt.NDArray[np.float32]) -> None:
    model = perceptron()
    del model.graph.node[1:]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("normal", TensorProto.FLOAT, ["n", WIDTH]))
    with pytest.raises(CellError, match="nothing to quantise"):
        choose(model, Precision.INT8, values, values, lambda line: None)


def test_no_range_is_taken_from_nan(values: npt.NDArray[np.float32]) -> None:
    broken = values.copy()
    broken[3, 3] = np.nan
    with pytest.raises(CellError, match="NaN"):
        histograms(perceptron(), ["normal"], broken)


ARRAYS = st.lists(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60).map(lambda v: np.array(v, np.float32)),
    min_size=1,
    max_size=6,
)


@given(ARRAYS)
def test_a_histogram_forgets_nothing_whatever_the_order(arrays: list[npt.NDArray[np.float32]]) -> None:
    seen = Histogram()
    for array in arrays:
        seen.add(array)
    whole = np.abs(np.concatenate(arrays))
    assert seen.peak == whole.max()
    assert seen.counts.sum() == whole.size
    assert seen.top >= seen.peak
    if seen.top:
        middle = np.median(seen.centers.repeat(seen.counts))
        assert abs(middle - np.median(whole)) <= 2 * seen.top / BINS + 0.5 * np.diff(np.sort(whole)).max(initial=0)


@given(ARRAYS)
def test_a_calibrator_never_goes_beyond_the_peak(arrays: list[npt.NDArray[np.float32]]) -> None:
    seen = Histogram()
    for array in arrays:
        seen.add(array)
    for calibrator in CALIBRATORS.values():
        assert 0 <= calibrator(seen) <= seen.peak
        assert (calibrator(seen) > 0) == (seen.peak > 0)


def test_a_single_outlier_is_clipped_by_all_but_minmax() -> None:
    seen = Histogram()
    seen.add(np.append(np.random.default_rng(0).normal(size=100_000), 60).astype(np.float32))
    assert minmax(seen) == 60
    assert 3 < percentile(seen) < 6
    assert 3 < least_error(seen) < 50


def test_a_product_with_a_constant_stack_of_matrices_stays_as_it_is() -> None:
    """Attention to a constant text: ONNX Runtime's integer kernel fails on its keys where each column has a scale."""
    draw = np.random.default_rng(3)
    arrays = {"weight": draw.normal(size=(8, 8)), "keys": draw.normal(size=(1, 2, 8, 7))}
    constants = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in arrays.items()]
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["queries"], "to_q"),
        helper.make_node("MatMul", ["queries", "keys"], ["features"], "attention"),
    ]
    values = (("x", 8), ("features", 7))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, 5, width]) for name, width in values]
    graph = helper.make_graph(nodes, "text", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert [node.name for node in quantizable(model)] == ["to_q"]
    x = draw.normal(size=(3, 2, 5, 8)).astype(np.float32)
    made = quantized(model, {"x": float(np.abs(x).max())}, Precision.INT8)
    sessions = [
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]) for m in (model, made)
    ]
    wanted, found = (session.run(None, {"x": x})[0] for session in sessions)
    assert 0 < np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()
