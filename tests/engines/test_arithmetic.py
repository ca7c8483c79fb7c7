"""Lower precisions on the engines that run here: the same file means the same, and what is emulated is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.arithmetic import emulated
from engines.base import Pixels, Profile
from engines.catalog import engine
from engines.graph import read
from engines.ort.products import of_onnx
from engines.preprocess.normalize import Normalizer
from engines.processor import instructions
from export.artifact import ONNX, Artifact
from export.errors import CellError
from export.lower.activations import histograms
from export.lower.casting import cast
from export.lower.precision import fp32_model
from export.lower.quantization import activations, minmax, quantized
from export.parity import TOLERANCE, compare
from export.spec import Precision
from export.store import Store

LOWER = [p for p in Precision if p is not Precision.FP32]


@pytest.fixture(scope="module")
def lowered(room: Store, artifact: Artifact, pixels: Pixels) -> dict[Precision, Artifact]:
    model = fp32_model(artifact.onnx)
    values = Normalizer(artifact.preprocess)(pixels)
    thresholds = {name: minmax(seen) for name, seen in histograms(model, activations(model), values)[0].items()}
    found = {Precision.FP32: artifact}
    for number, precision in enumerate(LOWER, 1):

        def build(folder: Path, precision: Precision = precision) -> dict[str, Any]:
            narrow = precision in (Precision.FP16, Precision.BF16)
            half = precision is Precision.INT8  # what `choose` takes for this network
            made = cast(model, precision) if narrow else quantized(model, thresholds, precision, half_range=half)
            onnx.save(made, folder / ONNX)
            return {**artifact.fields, "precision": str(precision), "base": artifact.key}

        found[precision] = Artifact.of(room.obtain("onnx", str(number) * 32, build))
    return found


def features(name: str, of: Artifact, pixels: Pixels, room: Store) -> tuple[npt.NDArray[np.float32], Any]:
    runner = engine(name)
    if not runner.available().ok:
        pytest.skip(runner.available().reason)
    plan = runner.plan(of, Profile((4,)), room)
    with runner.load(plan) as session:
        return session.run(pixels)["features"], plan


@pytest.mark.parametrize("name", ["ort:cpu", "openvino:cpu", "ncnn:cpu"])
@pytest.mark.parametrize("precision", LOWER)
def test_a_file_stays_close_to_fp32_on_every_engine_that_runs_it(
    name: str, precision: Precision, lowered: dict[Precision, Artifact], pixels: Pixels, room: Store
) -> None:
    runner = engine(name)
    if precision not in runner.precisions:
        with pytest.raises(CellError, match=f"does not run {precision}"):
            runner.plan(lowered[precision], Profile((4,)), room)
        return
    wanted, _ = features("ort:cpu", lowered[Precision.FP32], pixels, room)
    found, plan = features(name, lowered[precision], pixels, room)
    assert compare(found, wanted, precision).cosine_min >= TOLERANCE[precision][0]
    assert sum(plan.fields["arithmetic"].values()) >= 5


def test_engines_agree_on_an_int8_file(lowered: dict[Precision, Artifact], pixels: Pixels, room: Store) -> None:
    """A file with pairs at the outputs as well came apart here: pairs are at the inputs only."""
    one, _ = features("ort:cpu", lowered[Precision.INT8], pixels, room)
    other, _ = features("openvino:cpu", lowered[Precision.INT8], pixels, room)
    assert compare(other, one, Precision.INT8).cosine_min > 0.995


def test_eight_bit_weights_need_vnni(
    lowered: dict[Precision, Artifact], pixels: Pixels, room: Store, artifact: Artifact
) -> None:
    """Why weights take 7 bits: without VNNI, OpenVINO's sums of 16 bits saturate; ONNX Runtime is told to avoid it."""
    model = fp32_model(artifact.onnx)
    seen, _ = histograms(model, activations(model), Normalizer(artifact.preprocess)(pixels))
    thresholds = {name: minmax(one) for name, one in seen.items()}

    def build(folder: Path) -> dict[str, Any]:
        onnx.save(quantized(model, thresholds, Precision.INT8), folder / ONNX)
        return {**artifact.fields, "precision": "int8"}

    whole = Artifact.of(room.obtain("onnx", "8" * 32, build))
    wanted, _ = features("ort:cpu", lowered[Precision.FP32], pixels, room)
    exact, _ = features("ort:cpu", whole, pixels, room)
    assert compare(exact, wanted, Precision.INT8).cosine_min > 0.999
    if any("vnni" in name or name == "amx_int8" for name in instructions()) or "avx2" not in instructions():
        pytest.skip("this processor multiplies bytes without saturating")
    saturated, _ = features("openvino:cpu", whole, pixels, room)
    safe, _ = features("openvino:cpu", lowered[Precision.INT8], pixels, room)
    lost, kept = (1 - compare(found, wanted, Precision.INT8).cosine_min for found in (saturated, safe))
    assert lost > 10 * kept


def test_what_onnx_runtime_only_emulates_is_told(
    lowered: dict[Precision, Artifact], pixels: Pixels, room: Store
) -> None:
    _, fp16 = features("ort:cpu", lowered[Precision.FP16], pixels, room)
    assert fp16.fields["arithmetic"] == {"fp32": 5}
    assert fp16.emulated == "0 of 5 products run in fp16, the others in fp32"
    _, int8 = features("ort:cpu", lowered[Precision.INT8], pixels, room)
    assert int8.fields["arithmetic"] == {"fp32": 2, "int8": 3}  # two convolutions, three matrix products
    assert int8.emulated == ""
    _, fp32 = features("ort:cpu", lowered[Precision.FP32], pixels, room)
    assert fp32.emulated == ""


def test_a_plan_that_does_not_tell_is_not_called_emulated() -> None:
    assert emulated(Precision.INT8, {}) == ""
    assert emulated(Precision.INT8, {"int8": 5, "fp32": 4}) == ""
    assert emulated(Precision.INT8, {"int8": 4, "fp32": 3, "bf16": 2}) != ""


def test_products_are_counted_by_the_type_of_their_weights(tmp_path: Path) -> None:
    constants: dict[str, npt.NDArray[Any]] = {
        "narrow": np.zeros((2, 2), np.float16),
        "wide": np.zeros((2, 2), np.float32),
        "whole": np.zeros((2, 2), np.int8),
        "scale": np.ones((), np.float32),
        "zero": np.zeros((), np.int8),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "wide"], ["a"]),
        helper.make_node("Cast", ["narrow"], ["widened"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["a", "widened"], ["b"]),
        helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["dequantized"]),
        helper.make_node("MatMul", ["b", "dequantized"], ["c"]),
        helper.make_node("MatMul", ["c", "b"], ["d"]),  # no weights: attention's own product
        helper.make_node("MatMulIntegerToFloat", ["d", "whole"], ["y"], domain="com.microsoft"),
    ]
    graph = helper.make_graph(nodes, "g", [], [], [numpy_helper.from_array(v, k) for k, v in constants.items()])
    onnx.save(helper.make_model(graph), tmp_path / ONNX)
    assert of_onnx(read(tmp_path / ONNX)) == {"fp32": 3, "int8": 1}
