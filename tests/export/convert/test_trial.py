"""Foreign ONNX files in the situations that people bring: what is made of each, or its sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign_files import NORMALISED, OTHERS, PHOTOGRAPHS, RAW, SIDE, WIDTH, Situation
from onnx import TensorProto as T
from onnx import helper as h

from export.artifact import Artifact
from export.convert import trial
from export.convert.onnx_from_torch import artifact, artifact_key
from export.errors import CellError, UserError
from export.lower import precision
from export.lower.draft import draft
from export.spec import Precision, PreprocessSpec
from export.store import Store
from export.zoo.backbones import resolve


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "alone", trial.made)
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: PHOTOGRAPHS)


def made(situation: Situation, folder: Path, store: Store, photos: Path) -> Artifact:
    return artifact(resolve(str(situation.write(folder))), store, images=photos)


REFUSED: dict[str, tuple[Situation, str]] = {
    # types
    "int64 output": (Situation(tail="int64"), "output y is int64.*numbers of classes"),
    "bool output": (Situation(tail="bool"), "output y is bool"),
    "sequence output": (Situation(tail="sequence"), r"output y is seq\(tensor\(float\)\)"),
    "uint8 pixels": (Situation(takes=T.UINT8), "takes uint8 pixels, and normalises them itself.*value_range: 255"),
    "int8 input": (Situation(takes=T.INT8), "input x is int8"),
    "two inputs": (Situation(extra="second input"), r"has 2 inputs.*x float \[n, 3, 8, 8\]; mask float \[1\]"),
    # shapes
    "another layout": (
        Situation(layout="NHWC", sidecar=f"height: 8, width: 8, layout: NCHW, {NORMALISED}"),
        "layout: NHWC",
    ),
    "another size": (
        Situation(sidecar=f"height: 9, width: 9, {NORMALISED}"),
        "Try: write to net.yaml, under preprocess: height: 8, width: 8",
    ),
    # the batch axis
    "sequence first": (Situation(inside="sequence first", batch=1), r"first axis.*is not the batch.*\[1, 5, 6\]"),
    "sequence first, free": (Situation(inside="sequence first"), r"first axis.*is not the batch.*\[1, 5, 6\]"),
    "transposed": (Situation(inside="transposed"), r"first axis.*is not the batch.*\[6, 1\]"),
    "no batch axis": (Situation(inside="squeeze"), r"For 1 image it gives \[6\]"),
    "one row only": (Situation(inside="[-1]", batch=1), r"works for batches of 1 only|first axis"),
    "four only": (Situation(inside="[4,-1]"), "does not run on batches of 1"),
    "mixing by its mean": (Situation(extra="batch mean"), "depend on the other images of its batch"),
    "mixing by softmax": (Situation(extra="batch softmax"), "depend on the other images of its batch"),
    # numbers
    "NaN weights": (Situation(weights="nan"), "7 of 7 photographs hold NaN or Inf.*The weight 'w2' holds NaN"),
    "Inf weights": (Situation(weights="inf"), "hold NaN or Inf.*'t2', the output of a Conv"),
    "overflow": (Situation(weights="huge"), "hold NaN or Inf.*'t2', the output of a Conv"),
    "dead": (Situation(weights="zero"), "the same features for all of 7 different photographs"),
    "constant": (Situation(tail="constant"), "the same features for all"),
    "no features": (Situation(inside="empty"), "gives 0 numbers for an image"),
    "too many": (Situation(inside="huge"), "gives 6,291,456 numbers"),
    # precision
    "double": (Situation(precision="double", takes=T.DOUBLE), "precision has no name here.*weights are double"),
    "int16": (Situation(precision="int16"), "quantised to int16"),
    # operators
    "custom operators": (Situation(extra="my.ops"), r"my\.ops\.FancyPool \(1 node\)"),
    "extensions": (Situation(extra="ai.onnx.contrib"), r"ai\.onnx\.contrib\.FancyPool"),
    "unknown operator": (Situation(extra="unknown"), "operators that opset 17 does not have.*FancyPool"),
    "dropout": (Situation(extra="dropout"), "training mode.*Dropout"),
    "batch norm": (Situation(extra="batchnorm"), r"training mode.*BatchNormalization.*module\.eval\(\)"),
    "random": (Situation(extra="random"), "differ from run to run.*RandomNormalLike"),
    "old": (Situation(opset=6), "written in opset 6.*7 to"),
    "future": (Situation(opset=40), "written in opset 40"),
    "future format": (Situation(ir=99), "ir_version 99 is higher"),
    # external data
    "missing data": (Situation(constants="external missing"), "lies in 'w.bin', and there is no such file"),
    "outside": (Situation(constants="external outside"), "outside its folder.*'../w.bin'"),
    "absolute": (Situation(constants="external absolute"), "outside its folder"),
    "link": (Situation(constants="external link"), "outside its folder.*through a link"),
    "cut short": (Situation(constants="external truncated"), "not whole.*needs 864 bytes"),
    "outside, of a branch": (Situation(constants="external outside", branch="loop"), "outside its folder"),
    # its sidecar
    "no numbers": (
        Situation(sidecar=f"height: {SIDE}, width: {SIDE}, std: [0, 1, 1]"),
        "all must be finite, and std not 0",
    ),
    "infinite": (Situation(sidecar=f"height: {SIDE}, width: {SIDE}, mean: [.inf, 1, 1]"), "must be finite"),
    # other things under its name
    "half": (Situation(damage="half"), "not a valid ONNX file.*damaged or incomplete"),
    **{
        name: (Situation(damage=name), f"not a(n| valid) ONNX file.*{words}")
        for name, words in {
            "empty": "empty",
            "lfs": "Git LFS pointer.*git lfs pull",
            "html": "web page",
            "torchscript": "TorchScript",
            "checkpoint": "PyTorch checkpoint.*bob export NAME --weights FILE",
            "core ml": "Core ML",
            "zip": "which holds inner/model.onnx",
            "pickle": "pickle",
            "safetensors": "safetensors",
            "tflite": "TensorFlow Lite",
            "ort": r"ONNX Runtime's own format \(\.ort\)",
            "hdf5": "HDF5",
            "gzip": "gzip",
            "tar": "tar archive",
            "tensorrt": "TensorRT",
            "openvino": "OpenVINO",
            "json": "text",
            "text": "text",
            "graphdef": "no graph.*TensorFlow",
            "saved model": "no graph.*TensorFlow",
            "zeros": "damaged",
            "noise": "damaged",
            "cut in its header": "cut short",
        }.items()
    },
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("in_process")
def test_what_cannot_be_used_gets_its_sentence(name: str, store: Store, photos: Path, tmp_path: Path) -> None:
    situation, words = REFUSED[name]
    folder = tmp_path / "files"
    folder.mkdir()
    with pytest.raises(UserError) as caught:
        made(situation, folder, store, photos)
    assert re.search(words, str(caught.value), re.DOTALL), str(caught.value)
    assert "onnxruntime" not in str(caught.value).lower().replace("onnx runtime", "")


def test_every_other_kind_of_file_has_a_row() -> None:
    assert OTHERS.keys() <= REFUSED.keys()


FREED = "was fixed at {} and is free now"
WORKS: dict[str, tuple[Situation, tuple[str, ...]]] = {
    "ordinary": (Situation(), ()),
    "frozen at 1": (Situation(batch=1), ("its input's batch axis " + FREED.format(1),)),
    "frozen at 4": (Situation(batch=4), ("its input's batch axis " + FREED.format(4),)),
    "view(1, -1)": (Situation(batch=1, inside="[1,-1]"), ("the batch size in its reshapes " + FREED.format(1),)),
    "view(1, d)": (Situation(batch=1, inside=f"[1,{WIDTH}]"), ("the batch size in its reshapes " + FREED.format(1),)),
    "view(4, -1)": (Situation(batch=4, inside="[4,-1]"), ("the batch size in its reshapes " + FREED.format(4),)),
    "no shape": (Situation(shaped=False), ()),
    "negative batch": (Situation(batch=-1), ()),
    "channels last": (Situation(layout="NHWC"), ()),
    "float16": (Situation(precision="fp16", takes=T.FLOAT16), ("its input is float16", "its output is float16")),
    "double input": (Situation(takes=T.DOUBLE), ("its input is double",)),
    "double output": (Situation(tail="double"), ("its output is double",)),
    "raw uint8 pixels": (Situation(takes=T.UINT8, sidecar=f"height: 8, width: 8, {RAW}"), ("its input is uint8",)),
    "raw int64 pixels": (Situation(takes=T.INT64, sidecar=f"height: 8, width: 8, {RAW}"), ("its input is int64",)),
    "a branch": (Situation(branch="if"), ()),
    "a branch, data beside": (Situation(branch="if", constants="external"), ()),
    "a loop, data beside": (Situation(branch="loop", constants="external"), ()),
    "a function": (Situation(branch="function"), ()),
    "Constant nodes": (Situation(constants="nodes"), ()),
    "sparse": (Situation(constants="sparse"), ()),
    "two outputs": (Situation(tail="two outputs"), ("of its outputs (y, z) the first is the feature",)),
    "an output called features": (Situation(names=("x", "features")), ()),
    "an input called features": (Situation(names=("features", "y")), ()),
    "old": (Situation(opset=7, ir=3), ()),
    "new": (Situation(opset=23, ir=13), ()),
    "cut in front of a branch": (Situation(branch="if", cut="Relu"), ()),
    "what is cut away may train": (Situation(extra="dropout", cut="Relu"), ()),
    "ONNX Runtime's own operators": (Situation(extra="com.microsoft"), ()),
}


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.usefixtures("in_process")
def test_what_is_made_computes_the_same_in_any_batch(name: str, store: Store, photos: Path, tmp_path: Path) -> None:
    situation, words = WORKS[name]
    found = made(situation, tmp_path, store, photos)
    reference = found.reference()
    assert reference is not None
    from export.reference import normalize

    values = normalize(reference.pixels, found.preprocess)
    ordinary = replace(
        situation, batch="n", inside="flatten", constants="initializers", takes=T.FLOAT, extra="", tail="", ir=8, cut=""
    )
    session = onnxruntime.InferenceSession(str(found.onnx), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        rows = [session.run(None, {found.input: values[i : i + batch]})[0] for i in range(0, len(values), batch)]
        np.testing.assert_allclose(np.concatenate(rows), reference.outputs["features"], rtol=1e-3, atol=1e-4)
    if not situation.cut and situation.extra != "com.microsoft" and situation.precision == "fp32":
        original = onnxruntime.InferenceSession(
            ordinary.model().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        wanted = original.run(None, {original.get_inputs()[0].name: values})[0]
        np.testing.assert_allclose(reference.outputs["features"], wanted, rtol=1e-3, atol=1e-4)
    changed = found.fields["changed"]
    assert len(changed) == len(words)
    assert all(line.startswith(start) for line, start in zip(changed, words, strict=True))


@pytest.mark.parametrize(
    ("situation", "own"),
    [
        (Situation(), Precision.FP32),
        (Situation(precision="int8"), Precision.INT8),
        (Situation(precision="fp16"), Precision.FP16),
        (Situation(tail="float16"), Precision.FP16),
    ],
)
@pytest.mark.usefixtures("in_process")
def test_the_file_s_own_precision_is_the_artifact_s(
    situation: Situation, own: Precision, store: Store, photos: Path, tmp_path: Path
) -> None:
    backbone = resolve(str(situation.write(tmp_path)))
    assert precision.artifact(backbone, store, images=photos).precision is own
    if own is not Precision.FP32:
        for lower in (Precision.INT8, Precision.FP16):
            with pytest.raises(CellError, match=f"is {own} already: no {lower} file is made of it"):
                precision.artifact(backbone, store, precision=lower, images=photos)
        with pytest.raises(CellError, match=f"is {own} already"):
            draft(backbone, store, Precision.INT8)


def quantized(weight: Any, *, domain: str = "", operator: str = "", **attributes: Any) -> onnx.ModelProto:
    """A graph with one quantised node, for its precision to be read."""
    tensor = h.make_tensor("q", weight, [2], [1, 1])
    node = h.make_node(operator or "DequantizeLinear", ["q", "s"], ["y"], domain=domain, **attributes)
    return h.make_model(h.make_graph([node], "g", [], [], [tensor]))


@pytest.mark.parametrize(
    ("model", "own"),
    [
        (quantized(T.INT8), Precision.INT8),
        (quantized(T.UINT8), Precision.INT8),
        (quantized(T.FLOAT8E4M3FN), Precision.FP8),
        (quantized(T.INT8, operator="QLinearConv"), Precision.INT8),
        (quantized(T.INT8, operator="MatMulInteger"), Precision.INT8),
        (quantized(T.UINT8, operator="QAttention", domain="com.microsoft"), Precision.INT8),
        (quantized(T.UINT8, operator="MatMulNBits", domain="com.microsoft", bits=8), Precision.INT8),
        (quantized(T.BFLOAT16, operator="Identity"), Precision.BF16),
        (quantized(T.UINT8, operator="MatMulNBits", domain="com.microsoft", bits=4), None),
        (quantized(T.INT4), None),
        (quantized(T.INT16), None),
    ],
)
def test_the_precision_is_the_narrowest_format_in_the_file(model: onnx.ModelProto, own: Precision | None) -> None:
    from export.convert import examination

    if own:
        assert examination.precision(model) is own
    else:
        with pytest.raises(CellError, match="has no name here"):
            examination.precision(model)


def test_other_external_data_is_another_key(store: Store, tmp_path: Path, photos: Path) -> None:
    backbone = resolve(str(Situation(constants="external").write(tmp_path)))
    before = artifact_key(backbone, store, images=photos)
    data = tmp_path / "w.bin"
    data.write_bytes(data.read_bytes()[::-1])
    assert artifact_key(backbone, store, images=photos) != before


# -- the child process -------------------------------------------------------------------------------------------------


def job(situation: Situation, folder: Path, **more: Any) -> trial.Job:
    pixels = folder / "pixels.npy"
    np.save(pixels, np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8))
    out = folder / "out"
    out.mkdir()
    spec = PreprocessSpec(SIDE, SIDE).as_json()
    return trial.Job("net", str(situation.write(folder)), situation.cut, spec, str(pixels), str(out), **more)


def test_a_file_that_never_ends_is_stopped(tmp_path: Path) -> None:
    class Endless(Situation):
        def model(self) -> onnx.ModelProto:
            found = replace(Situation(branch="loop")).model()
            loop = next(n for n in found.graph.node if n.op_type == "Loop")
            loop.input[0] = ""
            return found

    with pytest.raises(CellError, match=r"(?s)does not end.*time was over"):
        trial.alone(job(Endless(), tmp_path, step_seconds=2))


def test_the_child_gives_fields_and_sentences_across(tmp_path: Path) -> None:
    outcome = trial.alone(job(Situation(batch=1), tmp_path))
    assert outcome.fields["precision"] == "fp32"
    assert "is free now" in outcome.changed[0]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"model.onnx", "parity.npz"}
    (tmp_path / "bad").mkdir()
    with pytest.raises(CellError, match="uses operators"):
        trial.alone(job(Situation(extra="my.ops"), tmp_path / "bad"))


def test_a_file_that_is_too_large_with_its_weights_keeps_them_beside_it(
    store: Store, photos: Path, tmp_path: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()
    whole = made(Situation(constants="external", branch="if"), tmp_path / "small", store, photos)
    monkeypatch.setattr("export.external.LARGEST", 500)
    monkeypatch.setattr("export.external.SMALL", 100)
    found = made(Situation(constants="external", branch="if", names=("image", "y")), tmp_path / "large", store, photos)
    assert {file.name for file in found.path.iterdir()} >= {"model.onnx", "model.onnx.data"}
    assert not (whole.path / "model.onnx.data").exists()
    assert found.parity is not None
    assert found.parity.passed
    assert found.parameters == whole.parameters
    x = np.random.default_rng(0).normal(size=(4, 3, SIDE, SIDE)).astype(np.float32)
    one, other = (
        onnxruntime.InferenceSession(str(a.onnx), providers=["CPUExecutionProvider"]).run(None, {a.input: x})[0]
        for a in (whole, found)
    )
    np.testing.assert_allclose(one, other, rtol=1e-5)
    (tmp_path / "large" / "w.bin").write_bytes((tmp_path / "large" / "w.bin").read_bytes()[:-400])
    with pytest.raises(UserError, match="is not whole"):
        artifact(resolve(str(next((tmp_path / "large").glob("*.onnx")))), store, images=photos)
