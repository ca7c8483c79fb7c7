"""The headed file is an entry: made where onnx is, used where it is not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.base import EngineSpec, Pixels, Profile
from engines.catalog import engine
from engines.preprocess.headed import headed
from engines.preprocess.normalize import BATCH_AXIS, Normalizer
from export.artifact import ONNX, Artifact
from export.errors import CellError
from export.store import Store


def test_it_gives_what_the_artifact_gives_for_normalised_pixels(
    artifact: Artifact, store: Store, pixels: Pixels
) -> None:
    entry = headed(artifact, store)
    assert entry.fields == {"onnx": artifact.key, "backbone": "tiny"}
    plain, behind = (onnxruntime.InferenceSession(str(file)) for file in (artifact.onnx, entry.file(ONNX)))
    [wanted] = plain.run(None, {artifact.input: Normalizer(artifact.preprocess)(pixels)})
    [found] = behind.run(None, {"pixels": pixels})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    model = onnx.load(str(entry.file(ONNX)))
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == BATCH_AXIS


def test_a_board_builds_from_what_was_packed(
    artifact: Artifact, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")
    rtx = engine(EngineSpec("trt-rtx", targets=("8.6",)))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="onnx"):
        rtx.plan(artifact, Profile(), store)
    monkeypatch.undo()
    assert rtx.pack(artifact, Profile(), store) == (headed(artifact, store),)  # on the workstation
    monkeypatch.setitem(sys.modules, "onnx", None)
    plan = rtx.plan(artifact, Profile(), store)
    assert plan.fields["input"] == "pixels"
    assert plan.artifact == artifact  # what is told of it is still the artifact's own


def test_who_takes_values_builds_from_the_artifact_itself(artifact: Artifact, store: Store) -> None:
    assert engine("ort:cpu").pack(artifact, Profile(), store) == ()
    assert engine("ort:cuda").pack(artifact, Profile(), store) == (headed(artifact, store),)
    assert [entry.name for entry in (store.root / "headed").glob("*") if entry.is_dir()] == [
        headed(artifact, store).key
    ]


def test_a_file_that_cannot_be_read_is_a_sentence(artifact: Artifact, store: Store, tmp_path: Path) -> None:
    (tmp_path / ONNX).write_bytes(b"no network")
    with pytest.raises(CellError, match="tiny: its file cannot be read"):
        headed(replace(artifact, key="1" * 32, path=tmp_path), store)
    assert not list((store.root / "headed").glob("*/manifest.json"))
