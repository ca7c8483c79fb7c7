from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.convert.onnx_from_torch import artifact
from export.errors import UserError
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.loaders import eager_of


def finished(folder: Path, batch: int | str = 1, external: str = "") -> Path:
    """A small NHWC network with a fixed batch, as other tools leave them: mean over the image, then a matrix."""
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32), "w")
    nodes = [
        helper.make_node("AveragePool", ["t"], ["pooled"], kernel_shape=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    graph = helper.make_graph(
        [helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]), *nodes],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 16, 16, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 5])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    file = folder / "net.onnx"
    if external:
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", external
        (folder / external).resolve().write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
    file.write_bytes(model.SerializeToString())
    file.with_suffix(".yaml").write_text(
        "preprocess: {height: 16, width: 16, layout: NHWC, channel_order: BGR, value_range: 255,"
        " mean: [104, 117, 123], std: [1, 1, 1]}\ncut: AveragePool\n"
    )
    return file


def test_a_finished_file_is_cut_at_its_feature(store: Store, photos: Path, tmp_path: Path) -> None:
    made = artifact(resolve(str(finished(tmp_path))), store, images=photos)
    assert made.outputs[0].shape == (3,)
    assert made.preprocess.layout == "NHWC"
    session = onnxruntime.InferenceSession(str(made.onnx), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(session.run(None, {made.input: x})[0], x.mean((1, 2)), rtol=1e-4, atol=1e-5)
    assert made.parity is not None
    assert made.parity.passed
    with pytest.raises(UserError, match="no PyTorch module"):
        eager_of(made, store)


def test_a_batch_axis_that_is_frozen_inside_is_freed_and_said(store: Store, photos: Path, tmp_path: Path) -> None:
    file = finished(tmp_path)
    model = onnx.load(file)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "one row"))
    flatten = next(n for n in model.graph.node if n.op_type == "Flatten")
    flatten.CopyFrom(helper.make_node("Reshape", ["pooled", "one row"], ["flat"]))
    onnx.save(model, file)
    file.with_suffix(".yaml").write_text(file.with_suffix(".yaml").read_text().replace("AveragePool", "flat"))
    made = artifact(resolve(str(file)), store, images=photos)
    assert made.fields["changed"] == [
        "the batch size in its reshapes was fixed at 1 and is free now: outputs of batches equal those image by image"
    ]
    session = onnxruntime.InferenceSession(str(made.onnx), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(session.run(None, {made.input: x})[0], x.mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_external_data_beside_the_file_is_taken(store: Store, photos: Path, tmp_path: Path) -> None:
    file = finished(tmp_path, external="weights.bin")
    file.with_suffix(".yaml").write_text(file.with_suffix(".yaml").read_text().replace("cut: AveragePool", ""))
    assert artifact(resolve(str(file)), store, images=photos).outputs[0].shape == (5,)


def test_external_data_outside_its_folder_is_refused(store: Store, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(UserError, match="outside its folder"):
        artifact(resolve(str(finished(inner, external="../outside.bin"))), store)


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"not onnx at all"])
def test_a_broken_file_gets_a_sentence(store: Store, tmp_path: Path, damage: object) -> None:
    file = finished(tmp_path)
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UserError, match=r"not a valid ONNX file|not an ONNX file"):
        artifact(resolve(str(file)), store)


def test_a_cut_that_is_not_there_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    file = finished(tmp_path)
    file.with_suffix(".yaml").write_text("preprocess: {height: 16, width: 16, layout: NHWC}\ncut: Softmax\n")
    with pytest.raises(UserError, match="cannot be cut"):
        artifact(resolve(str(file)), store)


def test_preprocessing_of_another_size_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    file = finished(tmp_path)
    file.with_suffix(".yaml").write_text("preprocess: {height: 32, width: 32, layout: NHWC}\n")
    with pytest.raises(UserError, match="does not match its preprocessing"):
        artifact(resolve(str(file)), store)
