"""Lower precisions of a small network with every kind of layer, on drawn photographs: made, chosen, judged, keyed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from fakes import photograph
from onnx import TensorProto, numpy_helper

from export.artifact import Artifact
from export.errors import UserError
from export.lower.activations import features, outputs
from export.lower.calibration import CalibrationSet, of_folder, published
from export.lower.choice import CLEARLY
from export.lower.draft import draft
from export.lower.graph import Graph
from export.lower.precision import artifact, artifact_key, precision_of
from export.parity import TOLERANCE, compare_outputs
from export.reference import normalize
from export.spec import Precision
from export.store import Store
from export.zoo.backbones import resolve

LOWER = [p for p in Precision if p is not Precision.FP32]
BACKBONE = "nets:tiny"


@pytest.fixture(scope="module")
def calibration() -> CalibrationSet:
    drawn = {f"{i}.jpg": photograph(i, 90 + 7 * i, 120) for i in range(16)}
    names = tuple(drawn)
    return CalibrationSet("drawings", names[::2], names[1::2], "drawn", drawn.__getitem__)


@pytest.fixture(scope="module")
def made(shared_store: Store, photos: Path, calibration: CalibrationSet) -> dict[Precision, Artifact]:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    backbone = replace(resolve(BACKBONE), preprocess={"height": 64, "width": 64})
    return {p: artifact(backbone, shared_store, precision=p, images=photos, calibration=calibration) for p in Precision}


@pytest.mark.parametrize("precision", LOWER)
def test_each_precision_is_a_file_that_is_close_to_fp32(precision: Precision, made: dict[Precision, Artifact]) -> None:
    found = made[precision]
    onnx.checker.check_model(str(found.onnx), full_check=True)
    assert found.precision is precision
    assert found.key != made[Precision.FP32].key
    assert found.fields["base"] == made[Precision.FP32].key
    assert found.parity is not None
    assert found.parity.passed
    assert found.parity.cosine_min >= TOLERANCE[precision][0]
    assert found.fields["compared"]["first_below"] is None
    assert found.outputs == made[Precision.FP32].outputs


@pytest.mark.parametrize("precision", LOWER)
def test_the_manifest_lists_and_hashes_the_photographs(precision: Precision, made: dict[Precision, Artifact]) -> None:
    told = made[precision].fields["calibration"]
    assert len(told["train"]) == 8
    assert len(told["val"]) == 8
    assert not set(told["train"]) & set(told["val"])
    assert all(len(digest) == 64 for digest in {**told["train"], **told["val"]}.values())
    reference = made[precision].reference()
    assert reference is not None
    assert len(reference.pixels) == 4  # the other half of val was used for the choice


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_a_narrow_file_is_half_as_large_and_keeps_its_ends(
    precision: Precision, made: dict[Precision, Artifact]
) -> None:
    model = onnx.load(made[precision].onnx)
    kinds = {i.data_type for i in model.graph.initializer if numpy_helper.to_array(i).size > 64}
    assert kinds == {TensorProto.FLOAT16 if precision is Precision.FP16 else TensorProto.BFLOAT16}
    ends = [*model.graph.input, *model.graph.output]
    assert {e.type.tensor_type.elem_type for e in ends} == {TensorProto.FLOAT}


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8])
def test_pairs_are_symmetric_per_channel_and_leave_biases_alone(
    precision: Precision, made: dict[Precision, Artifact]
) -> None:
    graph = onnx.load(made[precision].onnx).graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    kind = "int8" if precision is Precision.INT8 else "float8_e4m3fn"
    pairs = [n for n in graph.node if n.op_type == "DequantizeLinear"]
    for node in pairs:
        zero = constants[node.input[2]]
        assert zero.dtype.name == kind
        assert not zero.astype(np.float32).any()
    weights = [n for n in pairs if n.input[0] in constants]
    assert len(weights) == made[precision].fields["chosen"]["quantized_nodes"] == 5
    assert all(constants[n.input[1]].size == constants[n.input[0]].shape[n.attribute[0].i] for n in weights)
    assert not [i for i in constants.values() if i.dtype == np.int32 and i.size > 8]


def test_two_calibrators_or_more_were_tried_and_the_best_was_taken(made: dict[Precision, Artifact]) -> None:
    chosen = made[Precision.INT8].fields["chosen"]
    assert {row["calibrator"] for row in chosen["tried"]} == {"minmax", "percentile", "mse"}
    assert {row["smoothed"] for row in chosen["tried"]} == {True, False}
    assert chosen["weight_bits"] == 7
    assert {row["weight_bits"] for row in chosen["tried"]} == {7}  # with 7 bits the goal is reached
    whole = [row["cosine_min"] for row in chosen["tried"] if row["photographs"] == chosen["photographs"]]
    assert chosen["cosine_min"] in whole
    assert 1 - chosen["cosine_min"] <= (1 - max(whole)) / (1 - CLEARLY)


def test_the_file_computes_what_its_manifest_says(made: dict[Precision, Artifact], calibration: CalibrationSet) -> None:
    found = made[Precision.INT8]
    values = calibration.values(calibration.val[1::2], found.preprocess)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(found.onnx), options, providers=["CPUExecutionProvider"])
    computed = session.run(None, {found.input: values})[0]
    reference, parity = found.reference(), found.parity
    assert reference is not None
    assert parity is not None
    assert reference.outputs.keys() == {"features"}
    wanted = reference.outputs["features"]
    cosine = (computed * wanted).sum(1) / np.linalg.norm(computed, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() == pytest.approx(parity.cosine_min, abs=1e-4)
    np.testing.assert_allclose(features(onnx.load(made[Precision.FP32].onnx), values), wanted, rtol=1e-4, atol=1e-5)


MAPS = {
    "test_vit.r160_in1k@random": ["features", "tokens"],
    "test_resnet.r160_in1k@random": ["features", "map_s2", "map_s4", "map_s8", "map_s16", "map_s32"],
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_every_output_is_compared_and_a_damaged_one_is_named(
    name: str, precision: Precision, shared_store: Store, photos: Path, calibration: CalibrationSet
) -> None:
    backbone, store = resolve(name), shared_store
    found = artifact(backbone, store, precision=precision, taps=["all"], images=photos, calibration=calibration)
    own = artifact_key(backbone, store, precision=precision, taps=["all"], images=photos, calibration=calibration)
    assert found.key == own
    reference = found.reference()
    assert reference is not None
    assert [o.name for o in found.outputs] == list(reference.outputs) == MAPS[name]
    for spec in found.outputs:
        assert reference.outputs[spec.name].shape == (len(reference.pixels), *spec.shape)
    values = normalize(reference.pixels, found.preprocess)
    model = onnx.load(found.onnx)
    whole = compare_outputs(outputs(model, values), reference.outputs, precision)
    assert found.parity is not None
    assert found.parity.passed
    assert (whole.output, whole.passed) == (found.parity.output, True)
    assert whole.cosine_min == pytest.approx(found.parity.cosine_min, abs=1e-6)
    for output in MAPS[name]:
        damaged = compare_outputs(outputs(with_negated(model, output), values), reference.outputs, precision)
        assert (damaged.output, damaged.passed) == (output, False)


def with_negated(model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """The same file, of which one output has the wrong sign, and the others are as they were."""
    graph = Graph.copy_of(model)
    maker = next(node for node in graph.model.graph.node if output in node.output)
    maker.output[list(maker.output).index(output)] = "right"
    for node in graph.readers(output):
        node.input[list(node.input).index(output)] = "right"
    graph.model.graph.node.append(onnx.helper.make_node("Neg", ["right"], [output]))
    return graph.model


def test_every_setting_moves_the_key(store: Store, calibration: CalibrationSet) -> None:
    backbone = resolve("vit_t@random")
    keys = {
        artifact_key(backbone, store),
        artifact_key(backbone, store, precision=Precision.INT8),
        artifact_key(backbone, store, precision=Precision.FP16),
        artifact_key(backbone, store, precision=Precision.INT8, calibration=calibration),
        artifact_key(
            backbone, store, precision=Precision.INT8, calibration=replace(calibration, train=calibration.train[:-1])
        ),
        artifact_key(backbone, store, precision=Precision.INT8, calibration=replace(calibration, identity="other")),
    }
    assert len(keys) == 6
    assert artifact_key(backbone, store, calibration=calibration) == artifact_key(backbone, store)


def test_too_few_photographs_get_a_sentence(tmp_path: Path, calibration: CalibrationSet) -> None:
    with pytest.raises(UserError, match="too few photographs"):
        replace(calibration, val=calibration.val[:3])
    for i in range(7):
        (tmp_path / f"{i}.jpg").write_bytes(photograph(i, 64, 64))
    with pytest.raises(UserError, match="too few photographs"):
        of_folder(tmp_path)
    (tmp_path / "7.jpg").write_bytes(photograph(7, 64, 64))
    assert len(of_folder(tmp_path).train) == 4


def test_the_published_photographs_are_divided(store: Store) -> None:
    found = published(store)  # nothing is fetched before a photograph is read
    assert (len(found.train), len(found.val)) == (10, 10)
    assert not set(found.train) & set(found.val)


@pytest.mark.parametrize("name", ["int3", "FP32", ""])
def test_an_unknown_precision_gets_a_sentence(name: str) -> None:
    with pytest.raises(UserError, match="Unknown precision"):
        precision_of(name)


@pytest.mark.network
def test_a_draft_is_made_in_every_precision(store: Store) -> None:
    store.say = lambda line: None
    for precision in Precision:
        made = draft(resolve("resnet18.a1_in1k@random"), store, precision)
        onnx.checker.check_model(str(made.file("model.onnx")))
        assert made.fields["precision"] == str(precision)
