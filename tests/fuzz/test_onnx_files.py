"""Whatever is found under the name of an ONNX file: an artifact that computes what the file computes, or a sentence."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign_files import NORMALISED, NUMPY, OTHERS, PHOTOGRAPHS, RAW, SIDE, WIDTH, Situation
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st
from onnx import TensorProto as T

from export.artifact import Artifact
from export.convert import trial
from export.convert.onnx_from_torch import artifact
from export.errors import UserError
from export.store import Store
from export.zoo.backbones import resolve
from fuzz import CASES


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child process, so that a crash or a hang ends this one."""
    monkeypatch.setattr("export.convert.verify.photographs", lambda store, images=None: PHOTOGRAPHS)
    monkeypatch.setattr(trial, "alone", trial.made)


SIZES = f"height: {SIDE}, width: {SIDE}, "
ORDINARY = Situation()
FIELDS: dict[str, list[Any]] = {
    "takes": [T.FLOAT16, T.BFLOAT16, T.DOUBLE, T.UINT8, T.INT8, T.INT32, T.INT64],
    "batch": [1, 2, 4, 5, 0, -1],
    "shaped": [False],
    "layout": ["NHWC"],
    "inside": [
        *("[1,-1]", "[0,-1]", f"[-1,{WIDTH}]", f"[1,{WIDTH}]", "[4,-1]", "[-1]", "squeeze", "sequence first"),
        *("transposed", "empty", "huge", "nothing"),
    ],
    "constants": [
        *("nodes", "sparse", "external", "external missing", "external outside", "external absolute"),
        *("external link", "external truncated"),
    ],
    "weights": ["nan", "inf", "huge", "zero"],
    "precision": ["fp16", "double", "int8", "int16"],
    "branch": ["if", "loop", "function"],
    "extra": [
        *("dropout", "batchnorm", "random", "my.ops", "com.microsoft", "ai.onnx.contrib", "unknown"),
        *("batch mean", "batch softmax", "second input"),
    ],
    "tail": ["int64", "double", "float16", "bool", "constant", "sequence", "two outputs"],
    "names": [("x", "features"), ("features", "y"), ("image", "t3"), ("", "y"), ("x", "")],
    "opset": [1, 6, 7, 11, 13, 18, 21, 23, 40],
    "ir": [1, 3, 4, 10, 13, 99],
    "damage": ["half", "flipped", *OTHERS],
    "sidecar": [
        *(f"{SIZES}{RAW}", f"{SIZES}{RAW}, layout: NHWC", f"height: 9, width: {SIDE}, {NORMALISED}"),
        *(
            f"{SIZES}std: [0, 0, 0]",
            f"{SIZES}mean: [.nan, 0, 0]",
            f"{SIZES}mean: [1, 2]",
            f"{SIZES}colour: 1",
            "height: x",
        ),
        *("height: 0, width: 0", f"{SIZES}std: [1.0e-38, 1.0e-38, 1.0e-38]"),
    ],
    "cut": ["Conv", "Relu", "t1", "w2", "x", "nowhere", "[1, 2]"],
}
SITUATIONS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}).flatmap(
    lambda drawn: st.sets(st.sampled_from(sorted(FIELDS)), max_size=4).map(
        lambda chosen: replace(ORDINARY, **{name: drawn[name] for name in chosen})
    )
)


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(SITUATIONS)
@example(replace(ORDINARY, inside="[4,-1]", cut="Conv"))
def test_an_artifact_computes_what_its_file_does_or_there_is_a_sentence(situation: Situation) -> None:
    note(str(situation))
    with TemporaryDirectory() as place:
        check(situation, Path(place))


def check(situation: Situation, place: Path) -> str:
    """The property, of one situation; the sentence, if there was one."""
    folder = place / "files"
    folder.mkdir()
    try:
        file = situation.write(folder)
    except (ValueError, TypeError):
        return "not even a file"
    said = ""
    try:
        made = artifact(resolve(str(file)), Store(place / "store", lambda line: None))
    except UserError as error:
        said = str(error)
    if not said:
        _compare(made, file, situation)
        return ""
    assert said.splitlines()[0].endswith(".")
    assert "Traceback" not in said
    assert "onnxruntime_src" not in said
    assert max(map(len, said.splitlines())) < 700
    return said


def _compare(made: Artifact, file: Path, situation: Situation) -> None:
    """The artifact's features, one by one and in batches, with those of the file in ONNX Runtime, one by one."""
    reference = made.reference()
    assert reference is not None
    values = np.concatenate([_values(pixels, situation) for pixels in reference.pixels])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    source = _whole(file, situation).SerializeToString()
    original = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    size = situation.batch if isinstance(situation.batch, int) and situation.batch > 0 else 1
    name, kind = original.get_inputs()[0].name, NUMPY[situation.takes]
    if situation.takes == T.BFLOAT16:
        return  # numpy has none that the runtime takes
    rows = []
    for one in values:
        batch = np.repeat(one[None], size, axis=0).astype(kind)
        others = {i.name: np.ones(1, np.float32) for i in original.get_inputs()[1:]}  # not needed where it is cut
        found = np.asarray(original.run(None, {name: batch, **others})[0], np.float32)
        assert len(found) == size, asdict(situation)
        rows.append(found[0].ravel())
    wanted = np.stack(rows)
    session = onnxruntime.InferenceSession(str(made.onnx), options, providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["features"]
    loose = 2e-2 if made.precision != "fp32" else 1e-4
    for many in (1, 3, 7):
        found = np.concatenate(
            [session.run(None, {made.input: values[i : i + many]})[0] for i in range(0, len(values), many)]
        )
        np.testing.assert_allclose(found, wanted, rtol=loose, atol=loose * max(1e-3, float(np.abs(wanted).max())))
    assert np.isfinite(wanted).all()
    assert not (wanted == wanted[0]).all()


def _whole(file: Path, situation: Situation) -> onnx.ModelProto:
    """The file in a format that the runtime reads, its output where it is to be cut: what follows may be broken."""
    model = onnx.load(file)
    model.ir_version = min(max(model.ir_version, 8), 10)
    if situation.batch == 0 and situation.shaped:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    if situation.cut:
        place, node = next((i, n) for i, n in enumerate(model.graph.node) if situation.cut in (n.op_type, *n.output))
        output = situation.cut if situation.cut in node.output else node.output[0]
        del model.graph.output[:], model.graph.node[place + 1 :]
        model.graph.output.append(onnx.ValueInfoProto(name=output))
    return model


def _values(pixels: Any, situation: Situation) -> Any:
    """One image as the sidecar says, written anew: float32 [1, …]."""
    found = pixels[None].astype(np.float64)
    if RAW not in situation.sidecar:
        found = found / 255
        if NORMALISED in situation.sidecar:
            found = (found - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        elif "1.0e-38" in situation.sidecar:
            found = (found - [0.485, 0.456, 0.406]) / 1e-38
    nhwc = situation.layout == "NHWC" or "NHWC" in situation.sidecar
    return (found if nhwc else found.transpose(0, 3, 1, 2)).astype(np.float32)
