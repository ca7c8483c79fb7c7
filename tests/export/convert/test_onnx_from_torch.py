from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.__main__ import main
from export.artifact import Artifact
from export.convert.onnx_from_torch import artifact, artifact_key
from export.errors import Unavailable, UserError
from export.store import Store
from export.zoo.backbones import resolve
from export.zoo.loaders import eager, eager_of

SMALL = ["test_vit.r160_in1k@random", "test_resnet.r160_in1k@random", "test_efficientnet.r160_in1k@random"]


def make(name: str, store: Store, photos: Path, maps: bool = False) -> Artifact:
    return artifact(resolve(name), store, images=photos, maps=maps)


def run(made: Artifact, batch: int) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(made.onnx), providers=["CPUExecutionProvider"])
    side = made.preprocess.height
    x = np.random.default_rng(batch).normal(size=(batch, 3, side, side)).astype(np.float32)
    return [x, *session.run([o.name for o in made.outputs], {made.input: x})]


@pytest.mark.parametrize("name", SMALL)
def test_the_file_is_the_eager_module(name: str, shared_store: Store, photos: Path) -> None:
    made = make(name, shared_store, photos)
    assert made.untrained
    assert made.parity["passed"]
    assert made.parity["batches"] == [1, 5]
    module = eager_of(made, shared_store)
    for batch in (1, 3, 7):
        x, found = run(made, batch)
        assert found.shape == (batch, *made.outputs[0].shape)
        wanted = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
    assert made.parameters == sum(p.numel() for p in module.parameters())
    assert made.gmacs
    assert made.gmacs > 0


def test_layer_normalization_stays_one_operator(shared_store: Store, photos: Path) -> None:
    made = make(SMALL[0], shared_store, photos)
    operators = Counter(node.op_type for node in onnx.load(made.onnx).graph.node)
    assert operators["LayerNormalization"] > 0
    assert operators["ReduceMean"] <= 1, "a LayerNorm in pieces overflows in fp16"


@pytest.mark.parametrize(
    ("name", "outputs"), [(SMALL[0], {"tokens"}), (SMALL[1], {"map_s4", "map_s8", "map_s16", "map_s32"})]
)
def test_maps_and_tokens(name: str, outputs: set[str], shared_store: Store, photos: Path) -> None:
    made = make(name, shared_store, photos, maps=True)
    shapes = {o.name: o.shape for o in made.outputs}
    assert set(shapes) - {"features"} >= outputs if "tokens" in outputs else set(shapes) & outputs
    assert made.outputs[0].name == "features"
    x, features, *_ = run(made, 3)
    np.testing.assert_allclose(
        features, eager_of(made, shared_store)(torch.from_numpy(x)).numpy(), rtol=1e-3, atol=1e-3
    )
    for shape in (s for n, s in shapes.items() if n.startswith("map_s")):
        assert len(shape) == 3


def test_reparametrised_networks_equal_the_unfolded_twin(shared_store: Store, photos: Path) -> None:
    made = make("repvit_m0_9@random", shared_store, photos)
    assert made.parity["passed"]


def test_any_other_setting_is_another_key(store: Store, photos: Path) -> None:
    base = resolve(SMALL[1])
    keys = {
        artifact_key(base, store),
        artifact_key(base, store, maps=True),
        artifact_key(base, store, images=photos),
        artifact_key(replace(base, output="logits"), store),
        artifact_key(replace(base, arguments={"drop_rate": 0.1}), store),
        artifact_key(replace(base, preprocess={"crop_pct": 1.0}), store),
        artifact_key(resolve(SMALL[2]), store),
    }
    assert len(keys) == 7


def test_a_module_of_ones_own(store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_backbone.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    preprocess = {'height': 64, 'width': 48, 'crop_pct': 1.0}\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 8, 3, stride=2)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x).relu().mean((2, 3))\n"
        "def make(): return Net()\n"
        "def pixels(): return torch.nn.Identity()\n"
        "def nothing(): return 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    made = make("my_backbone:make", store, photos)
    assert (made.preprocess.height, made.preprocess.width) == (64, 48)
    assert made.outputs[0].shape == (8,)
    assert made.parity["passed"]
    with pytest.raises(UserError, match="gives no features"):
        make("my_backbone:pixels", store, photos)
    with pytest.raises(UserError, match="returned a int"):
        make("my_backbone:nothing", store, photos)
    with pytest.raises(UserError, match="No module"):
        make("no_such_module_xyz:make", store, photos)


def test_a_local_checkpoint_takes_the_place_of_the_hubs(store: Store, photos: Path, tmp_path: Path) -> None:
    module = eager(resolve("test_resnet.r160_in1k@random"), store).module
    with torch.no_grad():
        next(module.parameters()).mul_(2)
    torch.save(module.state_dict(), tmp_path / "mine.pth")
    backbone = resolve("test_resnet.r160_in1k", weights=tmp_path / "mine.pth")
    made = artifact(backbone, store, images=photos)
    assert not made.untrained
    torch.testing.assert_close(next(eager_of(made, store).parameters()), next(module.parameters()))
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not fit"):
        artifact(resolve("test_resnet.r160_in1k", weights=tmp_path / "other.pth"), store, images=photos)


def test_a_hub_out_of_reach_gets_a_sentence(store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable, match="could not be fetched from the model hub") as error:
        artifact(resolve("resnet18"), store, images=photos)
    assert "--weights" in error.value.remedy
    assert "@random" in error.value.remedy


# -- finished ONNX files ---------------------------------------------------------------------------------------------


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


def test_a_finished_file_is_cut_at_its_feature(
    store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "export.convert.foreign.photographs", lambda store: [p.read_bytes() for p in sorted(photos.iterdir())]
    )
    made = artifact(resolve(str(finished(tmp_path))), store)
    assert made.outputs[0].shape == (3,)
    assert made.preprocess.layout == "NHWC"
    session = onnxruntime.InferenceSession(str(made.onnx), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(session.run(None, {made.input: x})[0], x.mean((1, 2)), rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="no PyTorch module"):
        eager_of(made, store)


def test_external_data_beside_the_file_is_taken(
    store: Store, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "export.convert.foreign.photographs", lambda store: [p.read_bytes() for p in sorted(photos.iterdir())]
    )
    file = finished(tmp_path, external="weights.bin")
    file.with_suffix(".yaml").write_text(file.with_suffix(".yaml").read_text().replace("cut: AveragePool", ""))
    assert artifact(resolve(str(file)), store).outputs[0].shape == (5,)


def test_external_data_outside_its_folder_is_refused(store: Store, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(UserError, match="outside its folder"):
        artifact(resolve(str(finished(inner, external="../outside.bin"))), store)


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"not onnx at all"])
def test_a_broken_file_gets_a_sentence(store: Store, tmp_path: Path, damage: object) -> None:
    file = finished(tmp_path)
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UserError, match=r"no whole ONNX file|cannot be cut"):
        artifact(resolve(str(file)), store)


def test_a_cut_that_is_not_there_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    file = finished(tmp_path)
    file.with_suffix(".yaml").write_text("preprocess: {height: 16, width: 16, layout: NHWC}\ncut: Softmax\n")
    with pytest.raises(UserError, match="cannot be cut"):
        artifact(resolve(str(file)), store)


def test_preprocessing_of_another_size_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    file = finished(tmp_path)
    file.with_suffix(".yaml").write_text("preprocess: {height: 32, width: 32, layout: NHWC}\n")
    with pytest.raises(UserError, match="does not fit the preprocessing"):
        artifact(resolve(str(file)), store)


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_files_and_the_table(
    shared_store: Store, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--store", str(shared_store.root), "--images", str(photos), "--out", str(tmp_path / "out"), "--json"]
    assert main([SMALL[1], *arguments]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert row["untrained"]
    assert row["parity_passed"]
    assert Path(row["path"]).is_file()
    sidecar = Path(row["path"]).with_name("preprocess.yaml")
    shutil.copy(sidecar, Path(row["path"]).with_suffix(".yaml"))
    again = resolve(row["path"])
    assert again.reader == "onnx", "what is exported can be read back as a finished file"


def test_the_command_goes_on_past_a_failing_model(
    shared_store: Store, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.pth").write_bytes(b"")
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("- {name: broken, timm: resnet18.a1_in1k, file: broken.pth}\n")
    common = ["--store", str(shared_store.root), "--images", str(photos), "--out", str(tmp_path), "--zoo", str(zoo)]
    assert main(["broken", SMALL[1], *common]) == 1
    captured = capsys.readouterr()
    assert "damaged or truncated" in captured.err
    assert "test_resnet" in captured.out
    assert main(["broken", *common]) == 2


def test_the_command_lists_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"vit_b", "efficientnet_lite0"} <= {r["name"] for r in rows}


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b", "--weights", "x"], ["nope_nope"], ["vit_b", "--precision", "int3"]]
)
def test_wrong_arguments_get_a_sentence(arguments: list[str]) -> None:
    with pytest.raises(UserError):
        main(arguments)


@pytest.mark.parametrize("side", [224, 240, 260, 150])
def test_same_padding_is_right_at_every_size(side: int, store: Store, photos: Path) -> None:
    """TensorFlow's SAME padding depends on the input's size: at 240 a wrong folding once cost a tenth of the cosine."""
    size = {"height": side, "width": side}
    backbone = replace(resolve("tf_efficientnet_lite0.in1k@random"), preprocess=size)
    assert artifact(backbone, store, images=photos).parity["passed"]


def test_a_slimming_that_changes_the_result_is_not_used(
    store: Store, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxslim

    def wrong(model: onnx.ModelProto) -> onnx.ModelProto:
        for tensor in model.graph.initializer:
            if len(tensor.dims) == 4:
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.1, tensor.name))
        return model

    said: list[str] = []
    monkeypatch.setattr(onnxslim, "slim", wrong)
    assert make(SMALL[1], Store(store.root, said.append), photos).parity["passed"]
    assert any("slimming changed the result" in line for line in said)
